import { text } from "node:stream/consumers";
import { DEFAULT_PLATFORM_EXCLUSIONS } from "../../../src/api/platformExclusions.ts";
import { systemClock } from "../../../src/kube/clock.ts";
import { EventRecorder } from "../../../src/kube/events.ts";
import type { RunnerContext } from "../../../src/runner/context.ts";
import { httpFetcher } from "../../../src/runner/download/fetch.ts";
import { LatestOperation } from "../../../src/runner/latestOperation.ts";
import { type Exchange, recordingLogger, serve, status } from "../kube/loopback.ts";

/** What a runner finds in Velero's namespace. */
export interface FakeVelero {
  /** Where signed URLs point to; without it Velero signs none. */
  readonly storeUrl?: string;
  /** Kinds of download that the CRD does not know. */
  readonly unknownKinds?: readonly string[];
  /** A policy refuses every download, with the same code. */
  readonly refusesDownloads?: boolean;
  /** The location's `spec.config`. */
  readonly config?: Record<string, string>;
  /** The location's `spec.objectStorage`; undefined: there is no such location. */
  readonly objectStorage?: Record<string, unknown> | undefined;
  /** Data movements by plural, each as its `status.progress` (and its phase); `forbidden` for no right to see them. */
  readonly movements?: Readonly<Record<string, readonly object[] | "forbidden">>;
}

export interface FakeVeleroHandle {
  readonly context: RunnerContext;
  /** Everything that was logged. */
  readonly lines: readonly Record<string, unknown>[];
  /** The DownloadRequests that are left. */
  readonly requests: ReadonlyMap<string, { metadata: { name: string; labels?: unknown } }>;
  /** Every DownloadRequest that was made, as sent. */
  readonly made: { metadata: { name: string; labels?: unknown }; spec: { target: { kind: string; name: string } } }[];
  /** The label selectors of all lists, by plural. */
  readonly selectors: Record<string, string | null>;
}

/** An API server in whose Velero namespace DownloadRequests are answered, and a context that works with it. */
export async function fakeVelero(velero: FakeVelero, signal = new AbortController().signal): Promise<FakeVeleroHandle> {
  const requests = new Map<string, FakeVeleroHandle["made"][number]>();
  const made: FakeVeleroHandle["made"] = [];
  const selectors: Record<string, string | null> = {};
  const { logger, lines } = recordingLogger();

  const { client } = await serve(async (exchange) => {
    const [plural = "", name] = exchange.url.pathname.split("/").slice(6);
    if (plural === "downloadrequests") await downloadRequest(exchange, name);
    else if (name === undefined) exchange.json(...movements(exchange.url, plural));
    else exchange.json(...named(plural, name));
  });

  async function downloadRequest({ request, url, json, response }: Exchange, name = ""): Promise<void> {
    if (request.method === "POST") {
      const sent: FakeVeleroHandle["made"][number] = JSON.parse(await text(request));
      made.push(sent);
      json(...create(sent));
    } else if (request.method === "DELETE") {
      requests.delete(name);
      json(200, status(200, "", ""));
    } else if (url.searchParams.get("watch") === "true") {
      response.writeHead(200).flushHeaders();
    } else {
      const wanted = url.searchParams.get("fieldSelector")?.replace("metadata.name=", "");
      const items = [...requests.values()].filter(({ metadata }) => metadata.name === wanted);
      json(200, { metadata: { resourceVersion: "1" }, items });
    }
  }

  function create(sent: FakeVeleroHandle["made"][number]): [number, unknown] {
    const { kind } = sent.spec.target;
    if (velero.unknownKinds?.includes(kind)) return [422, unsupportedKind(kind)];
    if (velero.refusesDownloads) return [422, status(422, "Invalid", "denied by policy no-downloads")];
    const signed = velero.storeUrl === undefined ? {} : { downloadURL: `${velero.storeUrl}/${kind}?X-Sig=s3cr3t` };
    const creationTimestamp = new Date().toISOString().replace(/\.\d+Z$/, "Z");
    const metadata = { ...sent.metadata, ...stored(sent.metadata.name), creationTimestamp };
    const request = { ...sent, metadata, status: signed };
    requests.set(sent.metadata.name, request);
    return [201, request];
  }

  function named(plural: string, name: string): [number, unknown] {
    const metadata = stored(name);
    if (plural === "backups") return [200, object("Backup", metadata, { storageLocation: "default" })];
    if (velero.objectStorage === undefined) return [404, status(404, "NotFound", `no ${plural} ${name}`)];
    return [200, object("BackupStorageLocation", metadata, specOf(velero))];
  }

  function movements(url: URL, plural: string): [number, unknown] {
    selectors[plural] = url.searchParams.get("labelSelector");
    const found = velero.movements?.[plural];
    if (found === undefined) return [404, status(404, "NotFound", "no such kind")];
    if (found === "forbidden") return [403, status(403, "Forbidden", `no right to list ${plural}`)];
    const items = found.map((progress, i) => {
      const phase = "phase" in progress ? progress.phase : "InProgress";
      return { ...object("Movement", stored(`m${i}`), {}), status: { phase, progress } };
    });
    return [200, { metadata: { resourceVersion: "1" }, items }];
  }

  const context: RunnerContext = {
    client,
    clock: systemClock,
    logger,
    signal,
    settings: {
      operation: { namespace: "org-a", name: "b1" },
      job: { namespace: "vworkspace-system" },
      veleroNamespace: "velero",
      clusterId: undefined,
      restoreExcludedResources: DEFAULT_PLATFORM_EXCLUSIONS,
      hideVeleroMessages: false,
      requestWindowMs: 900_000,
      maxRunTime: undefined,
      terminationMessagePath: "/dev/null",
    },
    events: new EventRecorder(client, logger, {
      component: "test",
      controller: "ops.vworkspace.io/test",
      instance: "test",
    }),
    latest: new LatestOperation(),
    fetcher: httpFetcher({}),
  };
  return { context, lines, requests, made, selectors };
}

/** As the API server refuses what an enum of the CRD does not list. */
function unsupportedKind(kind: string): object {
  const message = `Unsupported value: "${kind}"`;
  const causes = [{ field: "spec.target.kind", reason: "FieldValueNotSupported", message }];
  return { ...status(422, "Invalid", message), details: { causes } };
}

function specOf({ objectStorage, config }: FakeVelero): object {
  return { objectStorage, ...(config && { config }) };
}

function object(kind: string, metadata: object, spec: object) {
  return { apiVersion: "velero.io/v1", kind, metadata, spec };
}

function stored(name: string) {
  return {
    name,
    namespace: "velero",
    uid: `uid-${name}`,
    resourceVersion: "1",
    creationTimestamp: "2026-01-01T00:00:00Z",
  };
}
