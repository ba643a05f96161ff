import { systemClock } from "../../kube/clock.ts";
import type { Context } from "../context.ts";
import type { ArchivedObject } from "./archive.ts";
import { type Probe, runProbe } from "./probe.ts";
import { objectsIn } from "./scratch.ts";
import { isWorkload, notReady } from "./workloads.ts";

/** What of a drill with `--run` ran. */
export interface Ran {
  /** How many workloads came up. */
  readonly ready: number;
  /** Whether the probe ended well; undefined: there is none, or it did not come to that. */
  readonly probe?: boolean;
  readonly problems: readonly string[];
}

/** How long until the workloads are looked at again, in milliseconds. */
const LOOK_MS = 1_000;

/**
 * Waits until what was restored runs, and has the probe look at it.
 *
 * @param timeoutMs for how long to wait for each of both, in milliseconds; undefined for ever
 */
export async function runRestored(
  compared: readonly ArchivedObject[],
  {
    into,
    probe,
    timeoutMs,
  }: { readonly into: string; readonly probe: Probe | undefined; readonly timeoutMs: number | undefined },
  context: Context,
): Promise<Ran> {
  const { ready, problems } = await awaitReady(compared, into, timeoutMs, context);
  // A probe would only say the same.
  if (problems.length > 0 || probe === undefined) return { ready, problems };
  const found = await runProbe(probe, into, timeoutMs, context);
  return { ready, probe: found.length === 0, problems: found };
}

/** Those that are not ready in time are problems. */
async function awaitReady(
  compared: readonly ArchivedObject[],
  into: string,
  timeoutMs: number | undefined,
  context: Context,
): Promise<Ran> {
  const workloads = compared.filter(({ content }) => isWorkload(content));
  const began = systemClock.monotonic();
  try {
    for (;;) {
      const found = await objectsIn(into, workloads, context);
      const problems = notReady(found);
      const isLate = timeoutMs !== undefined && systemClock.monotonic() - began > timeoutMs;
      if (problems.length === 0 || isLate) return { ready: found.size - problems.length, problems };
      context.terminal.progress(problems[0] ?? "");
      await systemClock.sleep(LOOK_MS, context.interrupt);
    }
  } finally {
    context.terminal.progress("");
  }
}
