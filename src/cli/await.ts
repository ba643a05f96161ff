import { parseGoDuration } from "../api/duration.ts";
import type { Operation } from "../api/operation.ts";
import { ACTORS, todoFor } from "../api/remedies.ts";
import { systemClock } from "../kube/clock.ts";
import type { Access } from "./access.ts";
import { abortAfter, TimedOut } from "./awaitObject.ts";
import { Exit, Interrupted, UsageError } from "./exit.ts";
import { Deleted, follow } from "./follow.ts";
import { age } from "./human.ts";
import { liveLine, type Sample, sampled } from "./liveLine.ts";
import { exitOf, hasEnded, remedyFor, type Situation, situationOf, whyOf } from "./situation.ts";
import { printable, type Terminal } from "./terminal.ts";

/** Waiting for the end of an Operation: shared by `wait`, `watch` and every `--wait`. */

export interface Waiting {
  /** Told of each state that differs from the one before in more than its message. */
  readonly onTransition?: (operation: Operation, situation: Situation) => void;
  /** Whether this state speaks of the request that is waited for; before that an end is not counted as one. */
  readonly hasBegun?: (operation: Operation) => boolean;
  /** In milliseconds; undefined for ever. */
  readonly timeoutMs: number | undefined;
  readonly interrupt: AbortSignal;
}

/** How the wait ended. `last` is the last state that was seen. */
export type Outcome =
  | { readonly kind: "ended"; readonly last: Operation; readonly situation: Situation }
  | { readonly kind: "timeout" | "interrupted" | "deleted"; readonly last: Operation; readonly situation: Situation };

/** Longer than any dispatcher at work takes to say something of a new Operation, in milliseconds. */
const UNNOTICED_MS = 30_000;

/** Follows an Operation until it has ended, for as long as allowed; shows a line of progress on a terminal. */
export async function awaitEnd(
  access: Access,
  first: Operation,
  terminal: Terminal,
  { onTransition, hasBegun = () => true, timeoutMs, interrupt }: Waiting,
): Promise<Outcome> {
  const controller = new AbortController();
  const onInterrupt = () => controller.abort(new Interrupted());
  if (interrupt.aborted) onInterrupt();
  interrupt.addEventListener("abort", onInterrupt, { once: true });
  const timer = abortAfter(timeoutMs, controller);
  const view = new Progress(terminal, first);
  let last = first;
  let told: string | undefined;
  try {
    for await (const operation of follow(access, first, { signal: controller.signal, terminal })) {
      last = operation;
      const situation = situationOf(operation);
      view.show(operation);
      const transition = `${situation.state} ${situation.reason}`;
      if (transition !== told && hasBegun(operation)) {
        told = transition;
        onTransition?.(operation, situation);
      }
      if (situation.state === "Foreign") {
        throw new Error(`operation/${operation.metadata.name}: ${situation.message}; nothing here can wait for it`);
      }
      if (hasEnded(situation) && hasBegun(operation)) return { kind: "ended", last, situation };
    }
    throw new Error("a watch has no end of its own");
  } catch (error) {
    const situation = situationOf(last);
    if (error instanceof TimedOut) return { kind: "timeout", last, situation };
    if (error instanceof Interrupted) return { kind: "interrupted", last, situation };
    if (error instanceof Deleted) return { kind: "deleted", last, situation };
    throw error;
  } finally {
    clearTimeout(timer);
    interrupt.removeEventListener("abort", onInterrupt);
    view.end();
  }
}

/** Redraws the line of progress each second, and says once that nobody looks at a new Operation. */
class Progress {
  readonly #terminal: Terminal;
  readonly #began = systemClock.monotonic();
  readonly #timer: NodeJS.Timeout;
  #operation: Operation;
  #samples: Sample[] = [];
  #warned = false;

  constructor(terminal: Terminal, first: Operation) {
    this.#terminal = terminal;
    this.#operation = first;
    this.#timer = setInterval(() => this.#draw(), 1000);
  }

  show(operation: Operation): void {
    this.#operation = operation;
    this.#samples = sampled(this.#samples, operation.status?.progress ?? {}, systemClock.monotonic());
    this.#draw();
  }

  end(): void {
    clearInterval(this.#timer);
    this.#terminal.progress("");
  }

  #draw(): void {
    const situation = situationOf(this.#operation);
    const at = systemClock.monotonic();
    if (situation.state === "New" && !this.#warned && at - this.#began > UNNOTICED_MS) {
      this.#warned = true;
      this.#terminal.err(
        `warning: nobody has looked at operation/${this.#operation.metadata.name} for ${age(at - this.#began)}: is the dispatcher running?`,
      );
    }
    const columns = this.#terminal.columns();
    if (columns === undefined) return;
    const shown = { samples: this.#samples, at, now: systemClock.now(), columns };
    this.#terminal.progress(printable(liveLine(this.#operation, situation, shown)));
  }
}

/** Reads `--timeout`: a Go duration; `0` for no limit. */
export function timeoutOf(text: string): number | undefined {
  const nanoseconds = parseGoDuration(text);
  if (nanoseconds === undefined || nanoseconds < 0n) {
    throw new UsageError(`--timeout: "${text}" must be a duration such as "90s" or "2h", or "0" for no limit`);
  }
  return nanoseconds === 0n ? undefined : Number(nanoseconds / 1_000_000n);
}

export interface OutcomeOptions {
  readonly strict: boolean;
  /** Whether any end is what was waited for. */
  readonly anyEnd?: boolean;
}

/** The exit code of a wait; says on standard error what is not as it was to be, and what to do. */
export function reportOutcome(
  outcome: Outcome,
  terminal: Terminal,
  { strict, anyEnd = false }: OutcomeOptions,
): number {
  const { kind, situation, last } = outcome;
  const name = `operation/${last.metadata.name}`;
  const state = situation.state.toLowerCase();
  switch (kind) {
    case "deleted":
      terminal.err(`error: ${name} was deleted; it was ${state}${because(situation)}`);
      return Exit.error;
    case "interrupted":
      terminal.err(
        `interrupted: ${name} goes on (${state}); kubectl operation cancel ${last.metadata.name} -n ${last.metadata.namespace} would end it`,
      );
      return Exit.interrupted;
    case "timeout":
      terminal.err(`error: timed out: ${name} is ${state}${because(situation)}`);
      for (const line of adviceLines(situation, last)) terminal.err(line);
      return Exit.timeout;
    case "ended": {
      const exit = anyEnd ? Exit.done : exitOf(situation, { strict });
      if (situation.state === "Succeeded") return exit;
      const kindOfLine = exit === Exit.done ? "warning" : "error";
      terminal.err(`${kindOfLine}: ${name} ${endedAs(situation)}${because(situation)}`);
      for (const line of adviceLines(situation, last)) terminal.err(line);
      return exit;
    }
  }
}

/** The end in the words of a result: `succeeded`, `degraded`, `failed`, `cancelled`. */
export function endedAs({ state }: Situation): string {
  return state === "Degraded" ? "succeeded, degraded" : state.toLowerCase();
}

function because(situation: Situation): string {
  const why = printable(whyOf(situation));
  return why === "" ? "" : `: ${why}`;
}

/** What to do, and who does it, as two lines at most. */
export function adviceLines(situation: Situation, { metadata }: Operation): string[] {
  const remedy = remedyFor(situation);
  if (remedy === undefined) return [];
  return [`  what to do (${ACTORS[remedy.who]}): ${todoFor(remedy, metadata)}`];
}
