import { HttpMethod } from "@kubernetes/client-node/dist/gen/http/http.js";
import * as z from "zod";
import { humanBytes } from "../../api/message.ts";
import { SYSTEM_NAMESPACE } from "../../api/names.ts";
import { isVeleroOperation, type Operation, operations } from "../../api/operation.ts";
import { inOrder } from "../../api/order.ts";
import { parseBackupName } from "../../api/sourceBackupName.ts";
import { isAdmitted } from "../../api/status.ts";
import { backups, downloadRequests } from "../../api/velero.ts";
import { isForbidden, isNotFound, isRefusal } from "../../kube/errors.ts";
import type { Manifest } from "../../kube/metadata.ts";
import { pathOf } from "../../kube/resource.ts";
import { judgeAdmission } from "../admission.ts";
import { admissionView } from "../admissionView.ts";
import { backupOf, type Context } from "../context.ts";
import { Exit } from "../exit.ts";
import { ago } from "../human.ts";
import { tryCreate } from "../mutation.ts";
import { formatted } from "../output.ts";
import { type Asked, fatesOf, type HeldKind, type Preview, previewLines } from "../preview.ts";
import type { Source } from "../requests.ts";
import { may } from "../rights.ts";
import { hasEnded, situationOf, whyOf } from "../situation.ts";
import { readVeleroFile, resourceListSchema } from "../veleroFile.ts";

/** What `restore --preview` is about. */
export interface PreviewRequest {
  readonly manifest: Manifest;
  readonly source: Source;
  readonly asked: Asked;
  readonly output: "json" | "yaml" | "name" | undefined;
}

/**
 * Tells what a Restore would meet, and makes none. Whoever may read Velero's files sees what the backup holds; for that a
 * DownloadRequest is made, and removed. Others see what their namespaces show.
 */
export async function preview({ manifest, source, asked, output }: PreviewRequest, context: Context): Promise<number> {
  const { terminal } = context;
  const seen = await look(manifest, source, context);
  if (output === "json" || output === "yaml") {
    const { kinds, ...rest } = seen;
    terminal.out(formatted({ ...rest, ...(kinds && { kinds: fatesOf(seen, asked) }) }, output));
  } else {
    for (const line of previewLines(seen, asked)) terminal.out(line);
  }
  return seen.hindrances.length === 0 ? Exit.done : Exit.unsuccessful;
}

async function look(manifest: Manifest, source: Source, context: Context): Promise<Preview> {
  const { into } = source;
  const unseen: string[] = [];
  const [refused, busy, operation] = await Promise.all([
    refusal(manifest, context),
    conflicts(into, context),
    sourceOperation(source, unseen, context),
  ]);
  const { held, unchecked, leftOut } = await admission(manifest, operation, context);
  const hindrances = [...refused, ...held, ...busy, ...(operation === undefined ? [] : unusable(operation))];
  const kinds = operation === undefined ? undefined : await heldBy(operation, into, unseen, context);
  if (operation === undefined && unseen.length === 0) {
    unseen.push(`there is no Backup Operation ${source.from}: a Backup of Velero's of that name would be looked for`);
  }
  unseen.push(...unchecked);
  const name = manifest.metadata.name ?? "";
  const from = operation === undefined ? source.from : sourceText(operation, context.now());
  return { operation: name, namespace: into, source: from, hindrances, leftOut, kinds, unseen };
}

/** What the API server, its schema and its policies say. */
async function refusal(manifest: Manifest, context: Context): Promise<string[]> {
  try {
    await tryCreate(operations, manifest, context);
    return [];
  } catch (error) {
    if (isRefusal(error)) return [`the API server: ${error.message}`];
    throw error;
  }
}

/** What the dispatcher's checks say, and which of them could not be made. */
async function admission(manifest: Manifest, source: Operation | undefined, context: Context) {
  const { engineRef, outputs, runner } = source?.status ?? {};
  const storageLocation = typeof outputs?.storageLocation === "string" ? outputs.storageLocation : undefined;
  // As the dispatcher would see it: created now, and of a backup whose location a runner has found.
  const asked = operations.schema.parse({
    ...manifest,
    metadata: { ...manifest.metadata, uid: "", resourceVersion: "", creationTimestamp: context.now().toISOString() },
    ...(storageLocation !== undefined && { status: { runner: { storageLocation } } }),
  });
  if (!isVeleroOperation(asked)) return { held: [], unchecked: [], leftOut: undefined };
  const systemNamespace = runner?.jobNamespace ?? SYSTEM_NAMESPACE;
  const veleroNamespace = engineRef?.namespace ?? "velero";
  const seen = await admissionView(asked, { systemNamespace, veleroNamespace }, context);
  const { hindrances, unchecked } = judgeAdmission(asked, seen);
  const byCause = Map.groupBy(unchecked, ({ why }) => why);
  return {
    held: hindrances.map(({ reason, message }) => `${reason}: ${message}`),
    unchecked: [...byCause].map(([why, all]) => `not checked (${why}): ${all.map(({ asks }) => asks).join(", ")}`),
    leftOut: seen.settings.ok ? seen.settings.value.restore.excludedResources : undefined,
  };
}

/** A Restore runs alone in its namespace: docs/contract.md#conflicts. */
async function conflicts(namespace: string, { access, interrupt }: Context): Promise<string[]> {
  const { items } = await access.client.list(operations, { namespace }, { signal: interrupt, onMalformed: () => {} });
  return items
    .filter((operation) => isAdmitted(operation.status) && !hasEnded(situationOf(operation)))
    .map(({ metadata, spec }) => `ConflictingOperation: ${spec?.type} ${metadata.name} is at work in ${namespace}`);
}

/** The Backup Operation that `--from` names, by the rule of docs/contract.md#source-backup. */
async function sourceOperation(
  { from, fromNamespaces, into }: Source,
  unseen: string[],
  { access, interrupt }: Context,
): Promise<Operation | undefined> {
  const wanted = parseBackupName(from);
  if (wanted === undefined || wanted.kind === "backup") return undefined;
  const named = wanted.kind === "operation" && wanted.namespace !== undefined ? [wanted.namespace] : fromNamespaces;
  for (const namespace of named.length > 0 ? named : [into]) {
    try {
      const found = await access.client.get(operations, { namespace, name: wanted.name }, { signal: interrupt });
      if (found.spec?.type === "Backup") return found;
    } catch (error) {
      if (isForbidden(error)) unseen.push(`no right to see Operations in namespace ${namespace}`);
      else if (!isNotFound(error)) throw error;
    }
  }
  return undefined;
}

function unusable(operation: Operation): string[] {
  if (operation.status?.phase === "Succeeded") return [];
  const situation = situationOf(operation);
  return [
    `RestoreForbidden: operation/${operation.metadata.name} has not succeeded: ${situation.state} ${whyOf(situation)}`,
  ];
}

function sourceText({ metadata, status }: Operation, now: Date): string {
  const { backupItemCount, backupSizeBytes } = status?.outputs ?? {};
  const size = Number(backupSizeBytes);
  const facts = [
    backupItemCount === undefined ? undefined : `${backupItemCount} items`,
    backupSizeBytes === undefined || Number.isNaN(size) ? undefined : humanBytes(size),
    status?.finishedAt === undefined ? undefined : `${ago(status.finishedAt, now)} old`,
  ].filter((fact) => fact !== undefined);
  return `operation/${metadata.name} of ${metadata.namespace}${facts.length === 0 ? "" : ` (${facts.join(", ")})`}`;
}

/** What the backup holds of its namespace, and what is there of that already. */
async function heldBy(
  operation: Operation,
  into: string,
  unseen: string[],
  context: Context,
): Promise<HeldKind[] | undefined> {
  const { access, interrupt } = context;
  const { namespace, name } = operation.status?.engineRef ?? {};
  if (namespace === undefined || name === undefined) return undefined;
  const deeds = [
    { verb: "get", resource: backups, namespace },
    { verb: "create", resource: downloadRequests, namespace },
  ] as const;
  const rights = await Promise.all(deeds.map((deed) => may(access, deed, interrupt)));
  if (!rights.every(Boolean)) {
    unseen.push(`what the backup holds is for who may read Velero's files in namespace ${namespace}`);
    return undefined;
  }
  const backup = await backupOf(operation, context);
  if (backup === undefined) {
    unseen.push(`backup/${name} is gone, or another one has its name`);
    return undefined;
  }
  const held = resourceListSchema.parse(JSON.parse(await readVeleroFile("BackupResourceList", backup, context)));
  const { kinds: served } = await access.client.discover({ signal: interrupt });
  return await Promise.all(
    Object.entries(held)
      .toSorted(([one], [other]) => inOrder(one, other))
      .map(async ([kind, objects]) => {
        const parts = kind.split("/");
        const group = parts.length === 3 ? (parts[0] ?? "") : "";
        const version = parts.at(-2) ?? "";
        const known = served.find((each) => each.group === group && each.singular === parts.at(-1)?.toLowerCase());
        const names = objects.map((each) => each.split("/").at(-1) ?? each);
        const isNamespaced = objects.some((each) => each.includes("/"));
        const present =
          known === undefined || !isNamespaced
            ? undefined
            : await presentNames({ group, version, plural: known.plural }, into, context);
        const resource = known === undefined ? undefined : known.plural + (group === "" ? "" : `.${group}`);
        return { kind, resource, names, present };
      }),
  );
}

const namesSchema = z.looseObject({
  items: z.array(z.looseObject({ metadata: z.looseObject({ name: z.string() }) })).nullable(),
});

/** The names of the objects of a kind in a namespace; undefined where they may not be seen. */
async function presentNames(
  resource: { readonly group: string; readonly version: string; readonly plural: string },
  namespace: string,
  { access, interrupt }: Context,
): Promise<ReadonlySet<string> | undefined> {
  if (!(await may(access, { verb: "list", resource, namespace }, interrupt))) return undefined;
  try {
    const text = await access.transport.text({
      method: HttpMethod.GET,
      path: pathOf(resource, { namespace }),
      accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
      call: `list ${resource.plural} ${namespace}`,
      signal: interrupt,
    });
    return new Set((namesSchema.parse(JSON.parse(text)).items ?? []).map(({ metadata }) => metadata.name));
  } catch (error) {
    // Such as a version that the backup has and the cluster does not serve any more.
    if (isRefusal(error) || isNotFound(error)) return undefined;
    throw error;
  }
}
