import fc from "fast-check";
import { beforeEach, expect, test, vi } from "vitest";
import { type RandomEvent, type SystemHistory, systemHistory } from "./randomEvents.ts";
import { SimulatedSystem } from "./simulatedSystem.ts";

// The programs use chance only to spread their waits: a history that is played again must go the same way.
beforeEach(() => {
  vi.spyOn(Math, "random").mockReturnValue(0.5);
});

/** The same histories for everybody, so that a failure is the change's; others for who looks for more. */
const SEED = Number(process.env.OPERATION_RUNNER_SEED ?? 1);

async function play({ events, ...start }: SystemHistory): Promise<void> {
  const system = new SimulatedSystem(start);
  try {
    for (const event of events) await system.apply(event);
    await system.comeToRest();
  } finally {
    system.close();
  }
}

// The report of a failure has the seed, the shortest history that fails, and every write in it with its author and time.
test("whatever happens: each attempt ends once, truthfully, and nobody's backup is harmed", {
  timeout: 600_000,
}, async () => {
  await fc.assert(fc.asyncProperty(systemHistory, play), { numRuns: 2000, seed: SEED });
});

const MADE: RandomEvent[] = [["create backup", 0, 200]];
const CHOSEN: RandomEvent[] = [...MADE, ["velero goes on", 0, 100], ["velero goes on", 0, 100]];
/** Velero refuses whatever it has not begun. */
const REFUSED: RandomEvent[] = [0, 1].map((which) => ["velero refuses", which, 1_000]);

test.each<[string, SystemHistory]>([
  [
    "of two runners one hears late that the other has turned to the other name",
    {
      older: "files",
      latencies: [0],
      events: [
        ...CHOSEN,
        ["watches lag", 0, 10],
        ["make a Job by hand", 0, 100],
        ["velero goes on", 0, 100],
        ["velero goes on", 0, 12_000],
        ["velero stops", 0, 12_000],
      ],
    },
  ],
  [
    "a backup that was called failed is done after all while its cancel is under way",
    {
      older: "none",
      latencies: [0],
      events: [
        ["create backup", 0, 25],
        ["velero goes on", 0, 100],
        ["velero goes on", 0, 100],
        ["velero goes on", 0, 0],
        ["velero restarts", 0, 0],
        ["cancel", 0, 0],
        ["velero jumps", 9, 0],
        ["velero jumps", 0, 0],
      ],
    },
  ],
  [
    "a backup is deleted before it is recorded, and made again by another runner",
    {
      older: "none",
      latencies: [0, 60, 60, 0, 0, 0],
      events: [
        ["create backup", 0, 60],
        ["velero goes on", 0, 100],
        ["velero goes on", 0, 100],
        ["velero goes on", 0, 100],
        ["velero goes on", 0, 100],
        ["make a Job by hand", 0, 0],
        ["make a Job by hand", 0, 100],
        ["delete Velero's object", 0, 100],
        ["delete Velero's object", 0, 0],
        ["make a Job by hand", 0, 0],
        ["velero goes on", 0, 0],
      ],
    },
  ],
  [
    "a backup fails while nobody can tell whether an older one has its name",
    { older: "files", latencies: [0], events: [["velero stops", 0, 0], ...MADE, ["velero jumps", 2, 0]] },
  ],
  [
    "a Job is deleted just as its Operation ends, of which the dispatcher hears late",
    {
      older: "none",
      latencies: [0],
      events: [...CHOSEN, ["one watch lags", 0, 0], ["velero jumps", 2, 100], ["delete a Job", 0, 3_000]],
    },
  ],
  [
    "people make Jobs for one that has failed: from the template, as a copy, and in the place of the old one",
    {
      older: "none",
      latencies: [0],
      events: [
        ...CHOSEN,
        ["velero jumps", 2, 3_000],
        ["make a Job by hand", 0, 3_000],
        ...REFUSED,
        ["copy a Job", 0, 3_000],
        ...REFUSED,
        ["replace a Job", 0, 3_000],
      ],
    },
  ],
  [
    "a Job is made and deleted while the dispatcher lists all Jobs anew",
    {
      older: "none",
      latencies: [60],
      events: [
        ["create backup", 0, 60],
        ["velero goes on", 0, 100],
        ["velero goes on", 0, 100],
        ["velero goes on", 0, 100],
        ["history is compacted", 0, 100],
        ["delete a Job", 0, 100],
        ["delete a Job", 0, 0],
      ],
    },
  ],
])("what went wrong once: %s", async (_, once) => {
  await expect(play(once)).resolves.toBeUndefined();
});
