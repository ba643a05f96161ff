import { beforeEach, describe, expect, test } from "vitest";
import type { VeleroOperation } from "../../../src/api/operation.ts";
import { openAttempt } from "../../../src/api/status.ts";
import { endOfPause } from "../../../src/dispatcher/pause.ts";
import { settingsSchema } from "../../../src/dispatcher/settings.ts";
import type { Action } from "../../../src/dispatcher/world.ts";
import { Cluster, condition } from "./cluster.ts";

const RECONCILE = "apps.vworkspace.io/reconcile";
const PAUSED_BY = "ops.vworkspace.io/paused-by";
const KEY = "org-a/shop";
let cluster: Cluster;

beforeEach(() => {
  cluster = new Cluster();
  cluster.settings = settingsSchema.parse({ pauseTarget: true });
  cluster.target("org-a");
});

const annotations = (key = KEY) => cluster.targets.get(key)?.metadata.annotations ?? {};
const pausedFor = ({ metadata }: VeleroOperation, attempt = 1) => ({
  [RECONCILE]: "disabled",
  [PAUSED_BY]: `${metadata.uid}/${attempt}`,
});

/** What the dispatcher does about a target, carried out. */
function look(key = KEY, as: Action | undefined = decided(key)): void {
  const [operation] = cluster.operations.values();
  if (as !== undefined) cluster.carryOut(Object(operation), as);
}

function decided(key = KEY): Action | undefined {
  const target = cluster.targets.get(key);
  return target && endOfPause(target, cluster.world());
}

function kinds(operation: VeleroOperation): string[] {
  const done: string[] = [];
  for (let action = cluster.step(operation); action !== undefined; action = cluster.step(operation)) {
    done.push(action.kind);
  }
  return done;
}

test("a Restore's target is paused before its Job is made, and held as long as it is under way", () => {
  const restore = cluster.add({ type: "Restore" });
  expect(kinds(restore)).toEqual(["writeStatus", "annotateTarget", "createJob"]);
  expect(annotations()).toEqual(pausedFor(restore));
  expect(decided()).toBeUndefined();
});

test.each<[string, () => VeleroOperation]>([
  ["a Backup's target", () => cluster.add()],
  [
    "a target that is not there",
    () => {
      const restore = cluster.add({ type: "Restore" });
      cluster.targets.clear();
      return restore;
    },
  ],
  [
    "any target, where the setting is off,",
    () => {
      cluster.settings = settingsSchema.parse({});
      return cluster.add({ type: "Restore" });
    },
  ],
])("%s is not paused", (_, add) => {
  expect(kinds(add())).toEqual(["writeStatus", "createJob"]);
  expect(annotations()).toEqual({});
});

test.each([{ [RECONCILE]: "disabled" }, { [RECONCILE]: "enabled" }, { [RECONCILE]: "" }])(
  "what somebody else has said (%j) is neither overwritten nor taken back",
  (theirs) => {
    cluster.target("org-a", { annotations: theirs });
    const restore = cluster.add({ type: "Restore" });
    expect(kinds(restore)).toEqual(["writeStatus", "createJob"]);
    cluster.setStatus(restore, { ...cluster.status(restore), phase: "Succeeded" });
    look();
    expect(annotations()).toEqual(theirs);
  },
);

describe("a pause is taken back", () => {
  let restore: VeleroOperation;
  beforeEach(() => {
    restore = cluster.add({ type: "Restore" });
    cluster.settle(restore);
  });
  const end = (phase: "Succeeded" | "Failed", reason: string) =>
    cluster.setStatus(restore, {
      ...cluster.status(restore),
      phase,
      conditions: Object([condition(phase, "True", reason)]),
    });

  test.each<[string, () => void]>([
    ["has succeeded", () => end("Succeeded", "VeleroRestoreCompleted")],
    ["has failed", () => end("Failed", "VeleroRestoreFailed")],
    ["was given up with nothing at work", () => end("Failed", "RunnerFailed")],
    [
      "is gone, Job and all",
      () => {
        cluster.operations.clear();
        cluster.jobs.clear();
      },
    ],
    [
      "waits for another admission",
      () => {
        const status = openAttempt({ ...cluster.status(restore), phase: "Failed" });
        cluster.setStatus(restore, status);
      },
    ],
  ])("when the Operation %s, and only once", (_, happens) => {
    happens();
    look();
    expect(annotations()).toEqual({});
    expect(decided()).toBeUndefined();
  });

  test.each<[string, () => void]>([
    [
      "whose runner gave up while Velero goes on",
      () => {
        cluster.veleroObject(restore, "InProgress");
        end("Failed", "RunnerFailed");
      },
    ],
    ["that was deleted while its Job goes on", () => cluster.operations.clear()],
  ])("not before the end of a Restore %s", (_, happens) => {
    happens();
    expect(decided()).toBeUndefined();
    expect(annotations()).toEqual(pausedFor(restore));
  });

  test("but for what somebody has said since", () => {
    cluster.target("org-a", { annotations: { ...pausedFor(restore), [RECONCILE]: "enabled" } });
    end("Succeeded", "VeleroRestoreCompleted");
    look();
    expect(annotations()).toEqual({ [RECONCILE]: "enabled" });
  });

  test("from a target onto which somebody has copied it", () => {
    cluster.target("org-b", { annotations: pausedFor(restore) });
    look("org-b/shop");
    expect(annotations("org-b/shop")).toEqual({});
    expect(annotations()).toEqual(pausedFor(restore));
  });

  test("never from the next attempt, by a decision that was made for the last one", () => {
    end("Failed", "VeleroRestoreFailed");
    const late = decided();
    expect(late?.kind).toBe("annotateTarget");
    cluster.annotate(restore, { "ops.vworkspace.io/rerun": "1" });
    cluster.settle(restore);
    expect(annotations()).toEqual(pausedFor(restore, 2));
    look(KEY, late);
    expect(annotations()).toEqual(pausedFor(restore, 2));
  });

  test("and set again while it is under way, when Velero has brought back the annotations of the backup", () => {
    cluster.target("org-a", { annotations: { [PAUSED_BY]: "another/1", [RECONCILE]: "disabled" } });
    expect(kinds(restore)).toEqual(["annotateTarget"]);
    cluster.target("org-a");
    expect(kinds(restore)).toEqual(["annotateTarget"]);
    expect(annotations()).toEqual(pausedFor(restore));
  });
});
