import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import os from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import * as z from "zod";
import { specDigest } from "../api/digest.ts";

const storedSchema = z.looseObject({
  metadata: z.looseObject({ name: z.string().optional(), generateName: z.string().optional() }),
  spec: z.looseObject({}).optional(),
});

type Stored = z.infer<typeof storedSchema>;

/** Of a collection, an object or its status: where it lies, and its name. */
const PATH = /^(\/api\/v1|\/apis\/[^/]+\/[^/]+)(?:\/namespaces\/[^/]+(?=\/))?\/([^/]+)(?:\/([^/]+))?(\/status)?$/;
const VERBS: Readonly<Record<string, string>> = {
  DELETE: "delete",
  GET: "get",
  PATCH: "patch",
  POST: "create",
  PUT: "update",
};

const request = {
  type: "Backup",
  engine: "velero",
  targetRef: { apiVersion: "v1", kind: "Any", name: "any" },
} as const;
const accepted = { type: "Accepted", status: "True", reason: "TemplateValidated", message: "" };

/**
 * Has a runner carry out one Backup to its end, or somebody look at it, against a server that stands in for the API server,
 * Velero and the object store, and agrees to everything.
 *
 * @param main the runner's, or another program's
 * @returns its exit code, and what it asked the API server, such as `create backups`
 */
export async function rehearse(
  main: (env: NodeJS.ProcessEnv) => Promise<number>,
): Promise<{ readonly exitCode: number; readonly requests: readonly string[] }> {
  const requests: string[] = [];
  const server = createServer((asked, response) => void answer(asked, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  const objects = new Map<string, Map<string, Stored>>();
  let version = 0;

  store("operations", {
    metadata: { namespace: "team", name: "backup" },
    spec: request,
    status: {
      phase: "Pending",
      conditions: [{ ...accepted, lastTransitionTime: new Date().toISOString() }],
      admittedSpec: specDigest(request),
    },
  });
  store("namespaces", { metadata: { name: "team" } });
  store("backupstoragelocations", { metadata: { name: "default" }, status: { phase: "Available" } });

  const folder = mkdtempSync(path.join(os.tmpdir(), "rehearsal-"));
  const kubeconfig = path.join(folder, "kubeconfig");
  writeFileSync(kubeconfig, JSON.stringify(kubeconfigFor(url)), { mode: 0o600 });
  try {
    const exitCode = await main({
      KUBECONFIG: kubeconfig,
      TERMINATION_MESSAGE_PATH: path.join(folder, "message"),
      OPERATION_NAMESPACE: "team",
      OPERATION_NAME: "backup",
      JOB_NAME: "job",
      JOB_UID: "job",
      POD_NAMESPACE: "system",
    });
    return { exitCode, requests };
  } finally {
    server.close();
    server.closeAllConnections();
    rmSync(folder, { recursive: true });
  }

  async function answer(asked: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(asked.url ?? "/", url);
    if (pathname.startsWith("/file/")) return sendFile(pathname, response);
    const [, , plural = "", name, subresource = ""] = PATH.exec(pathname) ?? [];
    const verb = name === undefined && asked.method === "GET" ? "list" : VERBS[asked.method ?? ""];
    requests.push(`${searchParams.has("watch") ? "watch" : verb} ${plural}${subresource}`);
    const found = objects.get(plural)?.get(name ?? searchParams.get("fieldSelector")?.split("=")[1] ?? "");
    const listed = found === undefined ? [] : [found];
    const sent = storedSchema.safeParse(JSON.parse((await text(asked)) || "{}")).data;
    if (searchParams.has("watch")) {
      response.writeHead(200).flushHeaders();
      const done = listed.filter(() => plural === "backups").map((backup) => store(plural, completed(backup)));
      for (const object of done) response.write(`${JSON.stringify({ type: "MODIFIED", object })}\n`);
    } else if (asked.method === "DELETE") response.end("{}");
    else if (sent !== undefined) response.end(JSON.stringify(store(plural, sent)));
    else if (name === undefined)
      response.end(
        JSON.stringify({ metadata: { resourceVersion: String(version) }, items: listed, ...asTable(listed) }),
      );
    else if (found !== undefined) response.end(JSON.stringify(found));
    else
      response
        .writeHead(404)
        .end(JSON.stringify({ kind: "Status", code: 404, reason: "NotFound", message: `${plural} not found` }));
  }

  function store(plural: string, sent: Stored): Stored {
    version += 1;
    const { name = `${sent.metadata.generateName}${version}` } = sent.metadata;
    const metadata = { uid: `${plural}-${name}`, creationTimestamp: new Date().toISOString(), ...sent.metadata, name };
    const status =
      plural === "downloadrequests"
        ? { phase: "Processed", downloadURL: `${url}/file/${JSON.stringify(sent.spec)}` }
        : sent.status;
    const stored = { ...sent, metadata: { ...metadata, resourceVersion: String(version) }, status };
    objects.set(plural, (objects.get(plural) ?? new Map()).set(name, stored));
    return stored;
  }
}

/** The same objects as a table, for who asks for one. */
function asTable(objects: readonly Stored[]) {
  return {
    columnDefinitions: [{ name: "Name" }, { name: "Age" }],
    rows: objects.map((object) => ({ cells: [object.metadata.name, "1s"], object })),
  };
}

function completed(backup: Stored): Stored {
  const now = new Date().toISOString();
  const progress = { totalItems: 1, itemsBackedUp: 1 };
  const spec = { ...backup.spec, storageLocation: "default" };
  return { ...backup, spec, status: { phase: "Completed", progress, startTimestamp: now, completionTimestamp: now } };
}

/** Velero's files, each by the words of the DownloadRequest. */
function sendFile(pathname: string, response: ServerResponse): void {
  const empty = pathname.includes("VolumeInfos") ? "[]" : "{}";
  if (!pathname.includes("BackupContents")) return void response.end(gzipSync(empty));
  response.writeHead(206, { "content-range": "bytes 0-1/100" }).end(Buffer.from([0x1f, 0x8b]));
}

function kubeconfigFor(server: string) {
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "rehearsal", cluster: { server, "insecure-skip-tls-verify": true } }],
    users: [{ name: "rehearsal", user: { token: "none" } }],
    contexts: [{ name: "rehearsal", context: { cluster: "rehearsal", user: "rehearsal" } }],
    "current-context": "rehearsal",
  };
}
