import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { VeleroObject } from "../../../../src/api/velero.ts";
import {
  type ArchiveOwner,
  type CancelResult,
  type CancelStep,
  finishedBeforeCancel,
  nextCancelStep,
} from "../../../../src/runner/cancel/cancelStep.ts";
import { VeleroModel } from "../veleroModel.ts";
import { backup, deleteRequest, OWN_LABELS, restore } from "../veleroObjects.ts";

type View = Parameters<typeof nextCancelStep>[0];

function step(now: VeleroObject | undefined, more: Partial<View> = {}): CancelStep {
  const whenCancelSeen = more.whenCancelSeen ?? now ?? backup({ phase: "New" });
  return nextCancelStep({
    whenCancelSeen,
    decided: false,
    lastSeen: whenCancelSeen,
    now,
    deleteRequests: [],
    archiveOwner: undefined,
    ...more,
  });
}

const running = backup({ phase: "InProgress" });
const OTHERS = { ...OWN_LABELS, "ops.vworkspace.io/operation": "another" };

describe("cancelling a Backup", () => {
  it.each([
    [undefined, "delete"],
    ["", "delete"],
    ["New", "delete"],
    ["Queued", "delete"],
    ["ReadyToStart", "waitForStart"],
    ["InProgress", "waitForRun"],
    ["WaitingForPluginOperations", "waitForRun"],
    ["WaitingForPluginOperationsPartiallyFailed", "waitForRun"],
    ["Finalizing", "waitForRun"],
    ["FinalizingPartiallyFailed", "waitForRun"],
    ["SomethingOfTheFuture", "waitForRun"],
    ["FailedValidation", "delete"],
    ["Failed", "inspectStore"],
    ["Deleting", "requestDeletion"],
    ["Completed", "end"],
    ["PartiallyFailed", "end"],
  ])("in phase %s: %s", (phase, expected) => {
    expect(step(backup(phase === undefined ? {} : { phase })).do).toBe(expected);
  });

  it("deletes only in exactly the state that was read", () => {
    expect(step(backup({ phase: "New" }))).toMatchObject({ do: "delete", unchanged: true });
  });

  it.each(["Completed", "PartiallyFailed"])("keeps what was %s when the cancel was seen", (phase) => {
    const object = backup({ phase });
    expect(step(object)).toEqual({ do: "end", result: { kind: "kept", object } });
  });

  it.each(["Completed", "PartiallyFailed"])("removes what became %s only afterwards", (phase) => {
    expect(step(backup({ phase }), { whenCancelSeen: running }).do).toBe("requestDeletion");
  });

  it.each(["Completed", "PartiallyFailed"])("removes what became %s after an earlier run had decided so", (phase) => {
    expect(step(backup({ phase }), { decided: true }).do).toBe("requestDeletion");
    expect(step(restore({ phase }), { decided: true }).do).toBe("delete");
  });

  it("goes on with what an earlier runner whenCancelSeen Velero to delete", () => {
    const object = backup({ phase: "Completed" });
    expect(step(object, { deleteRequests: [deleteRequest()] }).do).toBe("waitForDeletion");
  });

  it("never asks Velero to delete a Backup whose name was taken in the store, whatever its phase says now", () => {
    const failureReason = "backup execution failed: backup already exists in object storage";
    expect(step(backup({ phase: "Failed", failureReason })).do).toBe("delete");
    expect(step(backup({ phase: "Deleting", failureReason }), { deleteRequests: [deleteRequest()] }).do).toBe("delete");
    expect(step(backup({ phase: "Deleting", validationErrors: ["no location"] })).do).toBe("delete");
  });

  it.each<[ArchiveOwner, string]>([
    ["own", "requestDeletion"],
    ["older", "delete"],
    ["unknown", "delete"],
  ])("after a failure with files that are %s: %s", (archiveOwner, expected) => {
    expect(step(backup({ phase: "Failed", failureReason: "restarted" }), { archiveOwner }).do).toBe(expected);
  });

  it("says what it could not find out", () => {
    const lastSeen = backup({ phase: "Failed" });
    expect(step(undefined, { whenCancelSeen: lastSeen, lastSeen, archiveOwner: "unknown" })).toEqual({
      do: "end",
      result: {
        kind: "removed",
        remains:
          "it may have left files in the object store; the runner could not tell whether the files there are its own",
      },
    });
  });

  it("tells what Velero objected to before it asks again", () => {
    const deleteRequests = [deleteRequest({ phase: "Processed", errors: ["backup is still in progress"] })];
    expect(step(backup({ phase: "Completed" }), { whenCancelSeen: running, deleteRequests })).toMatchObject({
      do: "requestDeletion",
      errors: ["backup is still in progress"],
    });
  });

  it("does not count it as an objection when Velero refused somebody else", () => {
    const request = deleteRequest({ phase: "Processed", errors: ["no"] }, { labels: {} });
    expect(step(backup({ phase: "Completed" }), { whenCancelSeen: running, deleteRequests: [request] })).toMatchObject({
      do: "requestDeletion",
      errors: [],
    });
  });

  it("touches nothing once the name is another's, and takes back what Velero has not read yet", () => {
    const others = backup({ phase: "Completed" }, { uid: "other", labels: OTHERS });
    const request = deleteRequest();
    expect(step(others, { whenCancelSeen: running, deleteRequests: [request] })).toEqual({
      do: "withdraw",
      requests: [request],
    });
    expect(step(others, { whenCancelSeen: running })).toEqual({
      do: "end",
      result: { kind: "removed", remains: "another Backup has its name now and was left alone" },
    });
  });

  it("waits for what Velero is deleting, though the object itself has gone first", () => {
    const deleteRequests = [deleteRequest({ phase: "InProgress" })];
    expect(step(undefined, { whenCancelSeen: running, deleteRequests }).do).toBe("waitForDeletion");
    const processed = [deleteRequest({ phase: "Processed" })];
    expect(step(undefined, { whenCancelSeen: backup({ phase: "Failed" }), deleteRequests: processed })).toEqual({
      do: "end",
      result: { kind: "removed" },
    });
  });

  it("touches nothing when its own object has lost our labels: somebody took it over", () => {
    expect(step(backup({ phase: "New" }, { labels: {} }), { whenCancelSeen: backup({ phase: "New" }) }).do).toBe("end");
  });

  it("removes what Velero brought back from the store with our labels", () => {
    const back = backup({ phase: "Failed", failureReason: "disk full" }, { uid: "another-uid" });
    expect(step(back, { whenCancelSeen: running }).do).toBe("requestDeletion");
  });

  it("says that files may come when somebody deleted the object under its run", () => {
    expect(step(undefined, { whenCancelSeen: running })).toEqual({
      do: "end",
      result: {
        kind: "removed",
        remains: "somebody else deleted it during its run, so its files may stay in the object store",
      },
    });
  });

  it("waits for a deletion that a finalizer holds", () => {
    const held = backup({ phase: "New" }, { deletionTimestamp: "2026-01-01T00:00:00Z" });
    expect(step(held).do).toBe("waitForDeletion");
  });
});

describe("cancelling a Restore", () => {
  const whenCancelSeen = restore({ phase: "InProgress" });

  it.each(["WaitingForPluginOperations", "Failed", "FailedValidation"])("deletes it in phase %s", (phase) => {
    const object = restore({ phase });
    expect(step(object)).toEqual({ do: "delete", object, unchanged: false });
  });

  it("deletes it before it has begun, in exactly the state that was read", () => {
    const object = restore({ phase: "New" });
    expect(step(object)).toEqual({ do: "delete", object, unchanged: true });
  });

  it.each(["InProgress", "Finalizing", "FinalizingPartiallyFailed"])("lets a run end in phase %s", (phase) => {
    expect(step(restore({ phase })).do).toBe("waitForRun");
  });

  it("waits while its finalizer holds it", () => {
    const held = restore({ phase: "InProgress" }, { deletionTimestamp: "2026-01-01T00:00:00Z" });
    expect(step(held, { whenCancelSeen }).do).toBe("waitForDeletion");
  });

  it("does not wait for one that was refused and never ran", () => {
    const held = restore({ phase: "FailedValidation" }, { deletionTimestamp: "2026-01-01T00:00:00Z" });
    expect(step(held)).toEqual({
      do: "end",
      result: {
        kind: "removed",
        remains: "Velero removes the Restore, which failed validation, when its storage location is available again",
      },
    });
  });

  it("keeps what was Completed when the cancel was seen", () => {
    const object = restore({ phase: "Completed" });
    expect(step(object)).toEqual({ do: "end", result: { kind: "kept", object } });
  });

  it("deletes what was Completed only afterwards", () => {
    expect(step(restore({ phase: "Completed" }), { whenCancelSeen }).do).toBe("delete");
  });

  it("is done when it is gone or another one has its name", () => {
    expect(step(undefined, { whenCancelSeen })).toEqual({ do: "end", result: { kind: "removed" } });
    expect(step(restore({ phase: "New" }, { uid: "other" }), { whenCancelSeen })).toEqual({
      do: "end",
      result: { kind: "removed" },
    });
  });
});

/** One runner after the other, as each remembers things. */
class Runner {
  readonly #world: VeleroModel;
  #memory:
    | { whenCancelSeen: VeleroObject; decided: boolean; lastSeen: VeleroObject; archiveOwner: ArchiveOwner | undefined }
    | undefined;
  /** What the status says, whoever reads it. */
  #written = false;
  #decided: Extract<CancelStep, { do: "delete" }> | undefined;
  result: CancelResult | undefined;

  constructor(world: VeleroModel) {
    this.#world = world;
  }

  /** It forgets everything; its successor looks for the Velero object by its labels. */
  kill(): void {
    this.#memory = undefined;
    this.#decided = undefined;
  }

  /** One round of the loop. A deletion is carried out a round later, when the world has moved on. */
  step(storeReadable: boolean): void {
    if (this.result !== undefined) return;
    if (this.#decided !== undefined) {
      this.#world.delete(this.#decided.object, this.#decided.unchanged);
      this.#decided = undefined;
      return;
    }
    const { object: now, requests: deleteRequests } = this.#world;
    const found = now?.metadata.labels === OWN_LABELS ? now : undefined;
    const first = found ?? backup({ phase: "New" });
    this.#memory ??= { whenCancelSeen: first, decided: this.#written, lastSeen: first, archiveOwner: undefined };
    this.#written ||= !finishedBeforeCancel(this.#memory);
    const next = nextCancelStep({ ...this.#memory, now, deleteRequests });
    if ("object" in next && next.object !== undefined) this.#memory.lastSeen = next.object;
    if (next.do === "end") this.result = next.result;
    else if (next.do === "delete") this.#decided = next;
    else if (next.do === "inspectStore")
      this.#memory.archiveOwner = storeReadable ? this.#world.whoseFiles() : "unknown";
    else if (next.do === "requestDeletion") this.#world.request(next.object);
    else if (next.do === "withdraw") this.#world.withdraw(next.requests);
  }
}

const EVENTS = {
  advance: (world: VeleroModel) => world.advance(),
  breakEarly: (world: VeleroModel) => world.breakEarly(),
  breakLate: (world: VeleroModel) => world.breakLate(),
  restart: (world: VeleroModel) => world.restart(),
  sync: (world: VeleroModel) => world.sync(),
  takeUpRequest: (world: VeleroModel) => world.takeUpRequest(),
  finishRequest: (world: VeleroModel) => world.finishRequest(true),
  stumble: (world: VeleroModel) => world.finishRequest(false),
  deleteByHand: (world: VeleroModel) => world.deleteByHand(),
  createByHand: (world: VeleroModel) => world.create("younger"),
  step: (_: VeleroModel, runner: Runner) => runner.step(true),
  stepBlind: (_: VeleroModel, runner: Runner) => runner.step(false),
  kill: (_: VeleroModel, runner: Runner) => runner.kill(),
} as const;

type EventName = keyof typeof EVENTS;
const USUAL: readonly EventName[] = ["advance", "takeUpRequest", "finishRequest", "step"];
const TROUBLES = (Object.keys(EVENTS) as EventName[]).filter((event) => !USUAL.includes(event));

/** Every history has a few kinds of trouble, not all: else what one of them brings about hides behind the others. */
const histories = fc.subarray(TROUBLES, { minLength: 1, maxLength: 4 }).chain((troubles) =>
  fc.record({
    olderFiles: fc.boolean(),
    before: fc.nat(6),
    events: fc.array(fc.constantFrom(...USUAL, ...troubles), { maxLength: 40, size: "max" }),
  }),
);

describe("whatever happens meanwhile", () => {
  it("ends, leaves nothing of its own, and loses nobody else's files", () => {
    fc.assert(
      fc.property(histories, ({ olderFiles, before, events }) => {
        const world = new VeleroModel(olderFiles);
        for (let i = 0; i < before; i += 1) world.advance();
        const runner = new Runner(world);
        let blind = false;
        let touchedByHand = false;
        for (const event of events) {
          blind ||= event === "stepBlind";
          touchedByHand ||= event === "deleteByHand";
          // Velero goes by name: nothing can protect who takes a name while Velero deletes what had it, or between that
          // moment and a runner's next look. The runner is told of the change at once, so it looks first.
          if (event === "createByHand" && world.requests.some(({ status }) => status?.phase === "InProgress")) continue;
          const unread = world.requests.some(({ status }) => status?.phase === "New");
          const changedHands = world.object?.metadata.labels !== OWN_LABELS;
          if (unread && changedHands && event === "takeUpRequest") runner.step(true);
          EVENTS[event](world, runner);
        }
        for (let i = 0; i < 30 && runner.result === undefined; i += 1) {
          runner.step(true);
          world.advance();
          world.takeUpRequest();
          world.finishRequest(true);
        }
        expect(runner.result).toBeDefined();
        // What is left over in Velero runs to its end.
        for (let i = 0; i < 10; i += 1) {
          world.advance();
          world.takeUpRequest();
          world.finishRequest(true);
        }
        expect(world.destroyed.filter((owner) => owner !== "own")).toEqual([]);
        if (olderFiles) expect(world.files?.owner).toBe("older");
        if (runner.result?.kind === "kept") expect(world.destroyed).toEqual([]);
        else if (!blind && !touchedByHand) {
          world.sync();
          expect(world.object?.metadata.labels).not.toBe(OWN_LABELS);
          expect(world.files?.owner).not.toBe("own");
        }
      }),
      { numRuns: 30_000 },
    );
  });
});
