import { Annotation } from "../../api/labels.ts";
import { isTerminal, type Operation } from "../../api/operation.ts";
import { endedAs } from "../await.ts";
import { type Context, readOperation } from "../context.ts";
import { Exit } from "../exit.ts";
import { annotated, type ChangeOptions, reportChange } from "../mutation.ts";
import { situationOf } from "../situation.ts";
import { printable } from "../terminal.ts";
import { waitFor } from "./wait.ts";

/** `cancel` and `rerun`: what people ask of an Operation that is there, by its annotations. docs/contract.md#cancel. */

export async function cancel(names: readonly string[], options: ChangeOptions, context: Context): Promise<number> {
  let exit: number = Exit.done;
  for (const name of names) {
    try {
      await cancelOne(name, options, context);
    } catch (error) {
      context.interrupt.throwIfAborted();
      // One that cannot be cancelled keeps nobody from cancelling the others.
      context.terminal.err(`error: ${printable(error instanceof Error ? error.message : String(error))}`);
      exit = Exit.error;
    }
  }
  return exit;
}

async function cancelOne(name: string, options: ChangeOptions, context: Context): Promise<number> {
  const operation = await readOperation(context, name);
  if (isTerminal(operation.status?.phase)) {
    const as = endedAs(situationOf(operation));
    return reportChange(operation, `unchanged: it has ended (${as})`, options, context);
  }
  const changed = await annotated(operation, { [Annotation.cancel]: "true" }, options, context);
  return reportChange(changed, "asked to cancel", options, context);
}

export interface RerunOptions extends ChangeOptions {
  readonly wait?: boolean;
  readonly timeout: string;
  readonly strict?: boolean;
}

/** Has a failed Operation run again; a cancel that is still asked for is taken back in the same write. */
export async function rerun(name: string, options: RerunOptions, context: Context): Promise<number> {
  const operation = await readOperation(context, name);
  const { phase } = operation.status ?? {};
  const { spec, metadata } = operation;
  if (phase === "Succeeded") {
    const another = `kubectl operation ${spec?.type === "Restore" ? "restore" : "backup"} ${spec?.targetRef.name}`;
    throw new Error(`operation/${metadata.name} has succeeded and is not run again: ask for another one (${another})`);
  }
  if (phase !== "Failed") {
    throw new Error(
      `operation/${metadata.name} has not ended (${situationOf(operation).state}): it cannot be run again yet`,
    );
  }
  const token = context.now().toISOString();
  const annotations = {
    [Annotation.rerun]: token,
    ...(metadata.annotations?.[Annotation.cancel] !== undefined && { [Annotation.cancel]: null }),
  };
  const changed = await annotated(operation, annotations, options, context);
  const { wait = false, dryRun, output, timeout, strict = false } = options;
  const waits = wait && dryRun === "none";
  if (!waits || output === undefined) reportChange(changed, "asked to run again", options, context);
  if (!waits) return Exit.done;
  // Until the dispatcher has seen the token, the end that it shows is that of the attempt before.
  const hasBegun = ({ status }: Operation) => status?.observedRerun === token;
  return await waitFor(changed, { timeout, strict, ...(output && { output }) }, context, { hasBegun });
}
