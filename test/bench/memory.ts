import { setTimeout as delay } from "node:timers/promises";
import type { Progress } from "../cluster/progress.ts";
import { startControlPlane } from "./controlPlane.ts";
import type { Figure, Section } from "./figures.ts";
import { seedOperations } from "./seed.ts";
import { createTeams } from "./teams.ts";

export interface MemorySize {
  readonly finished: number;
  readonly waiting: number;
}

const TEAMS = 20;
/** What a start leaves to be collected has gone by then. */
const SETTLE_MS = 5_000;

/**
 * What the dispatcher holds in memory: just started with nothing to do, and with a long history and a long line. Those that
 * wait stay where they are: nobody carries out the Jobs of the first.
 */
export async function measureMemory({ finished, waiting }: MemorySize, progress: Progress): Promise<Section> {
  const say: Progress = (line) => progress(`memory: ${line}`);
  const controlPlane = await startControlPlane();
  const settled = async () => {
    const dispatcher = await controlPlane.startDispatcher();
    try {
      await dispatcher.ready();
      await delay(SETTLE_MS);
      return { ...(await dispatcher.cost()), readyMs: performance.now() - SETTLE_MS - dispatcher.startedAt };
    } finally {
      await dispatcher.stop();
    }
  };
  try {
    const { client } = controlPlane;
    const teams = await createTeams(client, "org", TEAMS);
    say("the dispatcher, with nothing to do");
    const idle = await settled();
    await seedOperations(client, teams, finished, "finished", say);
    await seedOperations(client, teams, waiting, "waiting", say);
    const numbers = `${finished.toLocaleString("en-US")} finished + ${waiting.toLocaleString("en-US")} waiting`;
    say(`the dispatcher, with ${numbers}`);
    const full = await settled();
    const figure = (what: string, unit: Figure["unit"], value: number, goal?: string): Figure => {
      return { what, unit, samples: [value], ...(goal && { goal }) };
    };
    return {
      title: "The dispatcher's memory",
      figures: [
        figure("just started", "MB", idle.rssMB, "<= 70 MB"),
        figure("just started, peak", "MB", idle.peakMB),
        figure(numbers, "MB", full.rssMB, "<= 120 MB"),
        figure(`${numbers}, peak`, "MB", full.peakMB),
        figure(`${numbers}, ready after`, "ms", full.readyMs),
      ],
    };
  } finally {
    await controlPlane.down();
  }
}
