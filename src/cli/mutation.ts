import { HttpMethod } from "@kubernetes/client-node/dist/gen/http/http.js";
import * as z from "zod";
import { type Operation, operations } from "../api/operation.ts";
import type { WriteOptions } from "../kube/client.ts";
import type { KubeObject, Manifest } from "../kube/metadata.ts";
import { apiVersionOf, pathOf, qualifiedName, type Resource } from "../kube/resource.ts";
import type { Context } from "./context.ts";
import { Exit } from "./exit.ts";
import { nameOf, type ObjectFormat, type Printable, printObject } from "./output.ts";

/** What every verb that changes something has in common. */

/** `client` sends nothing, `server` has the server check everything and store nothing. */
export type DryRun = "none" | "client" | "server";

/** By which managedFields tells who wrote. */
export const FIELD_MANAGER = "kubectl-operation";

/** How every write is made, for the client's calls. */
export function writeOptions({ interrupt }: Context): WriteOptions {
  return { fieldManager: FIELD_MANAGER, signal: interrupt };
}

export interface ChangeOptions {
  readonly dryRun: DryRun;
  readonly output?: ObjectFormat | undefined;
}

/** Tells of a change as kubectl does: `operation/NAME created`, or the object where a format was asked for. */
export function reportChange(
  object: Printable,
  what: string,
  { dryRun, output }: ChangeOptions,
  { terminal }: Context,
): number {
  const suffix = { none: "", client: " (dry run)", server: " (server dry run)" }[dryRun];
  if (output === undefined) terminal.out(`${nameOf(object)} ${what}${suffix}`);
  else printObject(object, output, terminal);
  return Exit.done;
}

const madeSchema = z.looseObject({ kind: z.string(), metadata: z.looseObject({ name: z.string() }) });

/** Has the server check whether it would take an object. What it answers has no resourceVersion: nothing was stored. */
export async function tryCreate(
  resource: Resource<KubeObject>,
  manifest: Manifest,
  { access, interrupt }: Context,
): Promise<Printable> {
  const { namespace, name, generateName } = manifest.metadata;
  const text = await access.transport.text({
    method: HttpMethod.POST,
    path: pathOf(resource, { namespace }),
    query: { fieldManager: FIELD_MANAGER, dryRun: "All" },
    body: { ...manifest, apiVersion: apiVersionOf(resource), kind: resource.kind },
    call: `try to create ${qualifiedName(resource)} ${namespace}/${name ?? generateName}`,
    signal: interrupt,
  });
  return madeSchema.parse(JSON.parse(text));
}

/** Writes annotations of this very Operation; one that has taken its name since is left alone. */
export async function annotated(
  operation: Operation,
  annotations: Readonly<Record<string, string | null>>,
  { dryRun }: Pick<ChangeOptions, "dryRun">,
  context: Context,
): Promise<Operation> {
  if (dryRun === "client") return operation;
  const patch = { metadata: { uid: operation.metadata.uid, annotations } };
  const options = { ...writeOptions(context), dryRun: dryRun === "server" };
  return await context.access.client.mergePatch(operations, operation.metadata, patch, options);
}
