import type { Operation } from "../../api/operation.ts";
import { awaitEnd, endedAs, reportOutcome, timeoutOf } from "../await.ts";
import { type Context, readOperation } from "../context.ts";
import { type ObjectFormat, printObject } from "../output.ts";
import { whyOf } from "../situation.ts";
import { printable } from "../terminal.ts";

export interface WaitOptions {
  readonly timeout: string;
  readonly strict?: boolean;
  readonly output?: ObjectFormat;
}

/** Waits for the end of an Operation, and ends as that was. */
export async function wait(
  name: string,
  { for: condition, ...options }: WaitOptions & { readonly for: "succeeded" | "ended" },
  context: Context,
): Promise<number> {
  timeoutOf(options.timeout);
  return await waitFor(await readOperation(context, name), options, context, { anyEnd: condition === "ended" });
}

/**
 * The wait of every `--wait`.
 *
 * @param hasBegun as {@link awaitEnd} has it
 */
export async function waitFor(
  first: Operation,
  { timeout, strict = false, output }: WaitOptions,
  { access, terminal, interrupt }: Context,
  { anyEnd = false, hasBegun }: { anyEnd?: boolean; hasBegun?: (operation: Operation) => boolean } = {},
): Promise<number> {
  const timeoutMs = timeoutOf(timeout);
  const outcome = await awaitEnd(access, first, terminal, {
    timeoutMs,
    interrupt,
    ...(hasBegun && { hasBegun }),
  });
  if (output !== undefined) printObject(outcome.last, output, terminal);
  else if (outcome.kind === "ended") {
    terminal.out(`operation/${outcome.last.metadata.name} ${endedAs(outcome.situation)}`);
  }
  return reportOutcome(outcome, terminal, { strict, anyEnd });
}

/** Shows every transition of an Operation until it has ended, and ends as that was. */
export async function watch(name: string, { timeout, strict = false }: WaitOptions, context: Context): Promise<number> {
  const { access, terminal, interrupt, now } = context;
  const timeoutMs = timeoutOf(timeout);
  const first = await readOperation(context, name);
  const outcome = await awaitEnd(access, first, terminal, {
    timeoutMs,
    interrupt,
    onTransition: (_operation, situation) => {
      const at = now().toISOString().slice(11, 19);
      terminal.out(`${at}  ${situation.state.padEnd(10)}  ${printable(whyOf(situation))}`.trimEnd());
    },
  });
  return reportOutcome(outcome, terminal, { strict });
}
