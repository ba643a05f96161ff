import { isDeepStrictEqual } from "node:util";
import { type Operation, type OperationType, operations } from "../../api/operation.ts";
import { isAlreadyExists } from "../../kube/errors.ts";
import type { Manifest } from "../../kube/metadata.ts";
import { type Confirmation, confirmed } from "../confirm.ts";
import { type Context, readOperation } from "../context.ts";
import { type DryRun, reportChange, tryCreate, writeOptions } from "../mutation.ts";
import type { ObjectFormat } from "../output.ts";
import { backupParameters, madeName, operationFor, restoreParameters, type Wish } from "../requests.ts";
import { preview } from "./preview.ts";
import { waitFor } from "./wait.ts";

/** `backup` and `restore`: an Operation is created, and waited for where that is asked. */

export interface RequestOptions extends Confirmation {
  readonly approvalRequired?: boolean;
  readonly dryRun: DryRun;
  readonly output?: ObjectFormat;
  readonly wait?: boolean;
  /** An Operation of that name which asks for the same is followed, and no error. */
  readonly followExisting?: boolean;
  readonly timeout: string;
  readonly strict?: boolean;
  readonly [parameter: string]: unknown;
}

export async function backup(
  target: string,
  name: string | undefined,
  options: RequestOptions,
  context: Context,
): Promise<number> {
  return await ask("Backup", { target, name, parameters: backupParameters(options), prefix: target }, options, context);
}

export async function restore(
  target: string,
  name: string | undefined,
  options: RequestOptions & {
    readonly from: string;
    readonly fromNamespace?: readonly string[];
    readonly preview?: boolean;
  },
  context: Context,
): Promise<number> {
  const { from, fromNamespace = [] } = options;
  const source = { from, fromNamespaces: fromNamespace, into: context.access.namespace };
  const parameters = restoreParameters(options, source);
  if (options.preview) {
    const made = name ?? madeName(`${target}-restore`, context.now(), { exact: false });
    const approvalRequired = options.approvalRequired === true;
    const manifest = operationFor({
      type: "Restore",
      target,
      namespace: source.into,
      name: made,
      parameters,
      approvalRequired,
    });
    return await preview({ manifest, source, asked: parameters, output: options.output }, context);
  }
  if (parameters.existingResourcePolicy === "update" && options.dryRun === "none") {
    const what = `This changes what is in namespace ${source.into} to what the backup "${from}" has.`;
    await confirmed(what, options, context);
  }
  return await ask("Restore", { target, name, parameters, prefix: `${target}-restore` }, options, context);
}

async function ask(
  type: OperationType,
  { name, prefix, ...wish }: Pick<Wish, "target" | "parameters"> & { name: string | undefined; prefix: string },
  options: RequestOptions,
  context: Context,
): Promise<number> {
  const { access, now } = context;
  const { dryRun, wait = false, output, timeout, strict = false } = options;
  const manifest = (exact: boolean) =>
    operationFor({
      type,
      ...wish,
      namespace: access.namespace,
      name: name ?? madeName(prefix, now(), { exact }),
      approvalRequired: options.approvalRequired === true,
    });
  if (dryRun === "client") return reportChange(manifest(false), "created", { dryRun, output }, context);
  if (dryRun === "server") {
    const checked = await tryCreate(operations, manifest(false), context);
    return reportChange(checked, "created", { dryRun, output }, context);
  }
  const created = await create(manifest(false), context).catch((error: unknown) => {
    // Two in one minute, and nobody gave a name.
    if (isAlreadyExists(error) && name === undefined) return create(manifest(true), context);
    if (isAlreadyExists(error) && options.followExisting === true) return existing(manifest(false), context);
    if (isAlreadyExists(error)) {
      throw new Error(`there is an operation/${name} already: give another name`, { cause: error });
    }
    throw error;
  });
  if (!wait) return reportChange(created, "created", { dryRun, output }, context);
  if (output === undefined) reportChange(created, "created", { dryRun, output }, context);
  return await waitFor(created, { timeout, strict, ...(output && { output }) }, context);
}

/**
 * The Operation that exists, for whoever asks again for what they have asked for already: a pod that was started anew.
 *
 * @throws Error where it asks for something else
 */
async function existing(manifest: Manifest, context: Context): Promise<Operation> {
  const found = await readOperation(context, manifest.metadata.name ?? "");
  if (isDeepStrictEqual(found.spec, manifest.spec)) return found;
  throw new Error(`there is an operation/${manifest.metadata.name} already, and it asks for something else`);
}

async function create(manifest: Manifest, context: Context): Promise<Operation> {
  return await context.access.client.create(operations, manifest, writeOptions(context));
}
