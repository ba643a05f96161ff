import { setTimeout as delay } from "node:timers/promises";
import { type Progress, withHeartbeat } from "../cluster/progress.ts";
import { measureCeiling } from "./ceiling.ts";
import { startControlPlane } from "./controlPlane.ts";
import { playRunners } from "./fakeRunners.ts";
import type { WaitingPoint } from "./figures.ts";
import { seedOperations } from "./seed.ts";
import { createTeams } from "./teams.ts";

export interface WaitingSize {
  /** How many Operations wait when the dispatcher starts, one run for each. */
  readonly numbers: readonly number[];
  /** How long it is watched from its first Job on, unless all end sooner. */
  readonly windowMs: number;
}

/** Longer than it takes until the first Job of anything but a dispatcher that hangs, in milliseconds. */
const FIRST_JOB_MS = 90_000;
const TEAMS = 20;
/** The fake Velero is never busy: as many as may be under way (`limits.maxConcurrent`), and not one and the next. */
const UNPACED = { OPERATION_RUNNER_LIMITS_CONCURRENT_BACKUPS: "10" };

/**
 * What the dispatcher alone does with so many Operations waiting: runners and Velero are played by a fake that ends each
 * Operation as soon as it has a Job. Each number on a control plane of its own.
 */
export async function measureWaiting({ numbers, windowMs }: WaitingSize, progress: Progress): Promise<WaitingPoint[]> {
  const points: WaitingPoint[] = [];
  for (const number of numbers) points.push(await measureNumber(number, windowMs, progress));
  return points;
}

async function measureNumber(number: number, windowMs: number, progress: Progress): Promise<WaitingPoint> {
  const say: Progress = (line) => progress(`${number} waiting: ${line}`);
  const controlPlane = await startControlPlane();
  const stop = new AbortController();
  try {
    const { client } = controlPlane;
    const teams = await createTeams(client, "org", TEAMS);
    say("the same writes, by a bare program");
    const ceilingPerSecond = await measureCeiling(client, teams[0] ?? "");
    const createdPerSecond = await seedOperations(client, teams, number, "waiting", say);
    const [firstJob, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const played = playRunners(client, stop.signal, {
      onFirstJob: firstJob.resolve,
      onEnd: ({ ended }) => ended >= number && over.resolve(),
    });
    const dispatcher = await controlPlane.startDispatcher(UNPACED);
    try {
      const describe = (elapsed: string) => `${played.ended} ended, ${elapsed} after the dispatcher's start`;
      const [atFirstJob, atEnd] = await withHeartbeat(say, describe, async () => {
        await Promise.race([firstJob.promise, delay(FIRST_JOB_MS)]);
        const cost = await dispatcher.cost();
        await Promise.race([over.promise, delay(windowMs)]);
        return [cost, await dispatcher.cost()];
      });
      const lag = await dispatcher.lag();
      const { firstJobAt = Number.NaN, lastEndAt = Number.NaN, ended } = played;
      return {
        waiting: number,
        createdPerSecond,
        ceilingPerSecond,
        ended,
        endedPerSecond: ended / ((lastEndAt - firstJobAt) / 1000),
        cpuMsPerOperation: (atEnd.cpuMs - atFirstJob.cpuMs) / ended,
        firstJobMs: firstJobAt - dispatcher.startedAt,
        peakMB: atEnd.peakMB,
        lagP99Ms: lag.p99,
        lagWorstMs: lag.worst,
      };
    } finally {
      await dispatcher.stop();
    }
  } finally {
    stop.abort(new Error("measured"));
    await controlPlane.down();
  }
}
