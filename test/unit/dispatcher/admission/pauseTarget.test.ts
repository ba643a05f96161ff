import { beforeEach, describe, expect, test } from "vitest";
import type { VeleroOperation } from "../../../../src/api/operation.ts";
import { openAttempt } from "../../../../src/api/status.ts";
import { endOfPause } from "../../../../src/dispatcher/admission/pauseTarget.ts";
import { settingsSchema } from "../../../../src/dispatcher/settings.ts";
import type { Action } from "../../../../src/dispatcher/state/world.ts";
import { condition } from "../clusterObjects.ts";
import { Cluster, conditionsOf } from "../fakeCluster.ts";

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

describe("where a Job is there already, the target is paused before the Restore is admitted:", () => {
  let restore: VeleroOperation;
  beforeEach(() => {
    cluster.location("default");
    restore = cluster.add({ type: "Restore" });
  });
  const isAdmittedNow = () => conditionsOf(cluster.status(restore)).includes("Accepted=True/TemplateValidated");

  /** As its runner writes it when it finds the location away. */
  function handBack(): void {
    cluster.settle(restore);
    cluster.join(restore, cluster.job(restore));
    const { runner, ...status } = cluster.status(restore);
    cluster.setStatus(restore, {
      ...status,
      runner: { ...runner, storageLocation: "default" },
      conditions: Object([
        condition("Accepted", "Unknown", "Pending"),
        condition("Blocked", "True", "StorageLocationUnavailable"),
        condition("Running", "False", "Pending"),
      ]),
    });
  }

  function runAgainByHand(): void {
    cluster.settle(restore);
    cluster.join(restore, cluster.job(restore));
    cluster.endJob(cluster.job(restore), "Failed");
    cluster.settle(restore);
    look();
    cluster.handMadeJob(restore);
    // The new attempt, which is still to be admitted.
    cluster.step(restore);
  }

  test.each<[string, number, () => void]>([
    [
      "one that was handed back",
      1,
      () => {
        handBack();
        look();
      },
    ],
    ["one that a person makes for a new Operation", 1, () => cluster.handMadeJob(restore)],
    ["one that a person makes for a failed Operation", 2, runAgainByHand],
  ])("%s", (_, attempt, happens) => {
    happens();
    expect(annotations()).toEqual({});
    for (let action = cluster.step(restore); action?.kind !== "annotateTarget"; action = cluster.step(restore)) {
      expect(action).toBeDefined();
      expect(isAdmittedNow()).toBe(false);
    }
    expect(annotations()).toEqual(pausedFor(restore, attempt));
    // Whoever looks at the target now leaves it paused: the two would undo each other's work for ever.
    expect(decided()).toBeUndefined();
    expect(kinds(restore)).toEqual(["writeStatus"]);
    expect(isAdmittedNow()).toBe(true);
    expect(decided()).toBeUndefined();
  });

  test.each<[string, () => unknown]>([
    ["it is cancelled", () => cluster.annotate(restore, { "ops.vworkspace.io/cancel": "true" })],
    ["its location goes away", () => cluster.location("default", { phase: "Unavailable" })],
    ["its Job goes", () => cluster.jobs.clear()],
    [
      "its Operation is to go",
      () => {
        const { metadata, ...rest } = cluster.current(restore);
        const going = { ...metadata, deletionTimestamp: "2026-11-22T12:00:00Z" };
        cluster.operations.set(KEY.replace("shop", metadata.name), { ...rest, metadata: going });
      },
    ],
  ])("and is free again when %s before that", (_, happens) => {
    handBack();
    look();
    cluster.step(restore);
    cluster.step(restore);
    expect(annotations()).toEqual(pausedFor(restore));
    happens();
    look();
    expect(annotations()).toEqual({});
  });
});

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
