import { describe } from "vitest";
import { veleroNames } from "../../../src/api/names.ts";
import type { Operation } from "../../../src/api/operation.ts";
import { backups, type VeleroObject } from "../../../src/api/velero.ts";
import { operationSelector } from "../../../src/runner/object/plan.ts";
import { Deletions } from "./deletions.ts";
import { Died } from "./mortalTransport.ts";
import { client, conditionsOf, type RunnerFixture, runnerFixtures } from "./runnerFixture.ts";

const openStage = runnerFixtures();

/** More calls than any run makes; a test ends at the first call that a run does not reach. */
const MAX_CALLS = 80;

const COLLIDED = { phase: "Failed", failureReason: "backup already exists in object storage" };

interface CrashCase {
  /** What was there before. */
  readonly setUp?: (fixture: RunnerFixture, operation: Operation) => Promise<unknown>;
  /** Which attempt the runs work on; default the first. */
  readonly attempt?: number;
  /** What the others do while runs come and go. */
  readonly play: (fixture: RunnerFixture, operation: Operation) => Promise<void>;
  readonly exitCode: number;
  readonly conditions: Record<string, string>;
  /** Which of the Operation's Backups is there in the end. */
  readonly left: (operation: Operation) => string[];
}

const SUCCEEDED = {
  Accepted: "True/TemplateValidated",
  Running: "False/VeleroBackupSucceeded",
  Succeeded: "True/VeleroBackupCompleted",
};

const CANCELLED = {
  Accepted: "True/TemplateValidated",
  Running: "False/CancelledByUser",
  Cancelled: "True/CancelledByUser",
};

const cases: Record<string, CrashCase> = {
  "a backup that completes": {
    async play({ velero }, { metadata: { name } }) {
      await velero.created("Backup", name);
      await velero.setStatus("Backup", name, { phase: "InProgress", progress: { totalItems: 3 } });
      await velero.setStatus("Backup", name, { phase: "Completed", progress: { totalItems: 3, itemsBackedUp: 3 } });
    },
    exitCode: 0,
    conditions: SUCCEEDED,
    left: ({ metadata: { name } }) => [name],
  },
  "a name that is taken in the object store": {
    async play({ velero }, operation) {
      const { name } = operation.metadata;
      await velero.created("Backup", name);
      await velero.setStatus("Backup", name, COLLIDED);
      await velero.created("Backup", otherName(operation));
      await velero.setStatus("Backup", otherName(operation), { phase: "Completed" });
    },
    exitCode: 0,
    conditions: SUCCEEDED,
    left: (operation) => [otherName(operation)],
  },
  "a name that a person has taken": {
    setUp: ({ velero }, { metadata: { name } }) => velero.make("Backup", name, { spec: {} }),
    async play({ velero }, operation) {
      await velero.created("Backup", otherName(operation));
      await velero.setStatus("Backup", otherName(operation), { phase: "Completed" });
    },
    exitCode: 0,
    conditions: SUCCEEDED,
    left: (operation) => [otherName(operation)],
  },
  "a new attempt of one that failed, by a Job made by hand": {
    setUp: (fixture, operation) =>
      fixture.write(operation, {
        phase: "Failed",
        conditions: [{ type: "Failed", status: "True", reason: "VeleroBackupFailed", message: "no space" }],
      }),
    attempt: 2,
    async play(fixture, operation) {
      await fixture.open(operation.metadata.name, jobUid(operation));
      await fixture.admit(operation.metadata.name, 2);
      const { velero } = fixture;
      await velero.created("Backup", otherName(operation, 2));
      await velero.setStatus("Backup", otherName(operation, 2), { phase: "Completed" });
    },
    exitCode: 0,
    conditions: SUCCEEDED,
    left: (operation) => [otherName(operation, 2)],
  },
  "a cancel before Velero begins": {
    async play(fixture, { metadata: { name } }) {
      await fixture.velero.created("Backup", name);
      await fixture.annotate(name, { "ops.vworkspace.io/cancel": "true" });
    },
    exitCode: 2,
    conditions: CANCELLED,
    left: () => [],
  },
  "a cancel during Velero's run, which ends well before the next run looks": {
    async play(fixture, { metadata: { name } }) {
      await fixture.velero.created("Backup", name);
      await fixture.velero.setStatus("Backup", name, { phase: "InProgress" });
      await fixture.annotate(name, { "ops.vworkspace.io/cancel": "true" });
      await fixture.until(name, ({ conditions = [] }) => conditions.some(({ type }) => type === "Cancelled"));
      await fixture.velero.setStatus("Backup", name, { phase: "Completed" });
      const deletions = new Deletions(client, fixture.velero.namespace);
      await deletions.carryOut(await deletions.next(name));
    },
    exitCode: 2,
    conditions: CANCELLED,
    left: () => [],
  },
  "a Backup that Velero refuses": {
    async play({ velero }, { metadata: { name } }) {
      await velero.created("Backup", name);
      const validationErrors = ["Invalid included/excluded resource lists"];
      await velero.setStatus("Backup", name, { phase: "FailedValidation", validationErrors });
    },
    exitCode: 2,
    conditions: {
      Accepted: "False/VeleroBackupValidationFailed",
      Running: "False/VeleroBackupValidationFailed",
      Failed: "True/VeleroBackupValidationFailed",
    },
    // At the end of its ttl Velero would delete by name: the files of an older backup, if there is one.
    left: () => [],
  },
  "a Backup that Velero refuses while its location is away": {
    async play(fixture, { metadata: { name } }) {
      const { velero } = fixture;
      const validationErrors = [
        "backup can't be created because BackupStorageLocation default is in Unavailable status.",
      ];
      const readmitted = fixture.readmit(name);
      let refused = (await velero.created("Backup", name)).metadata.uid;
      do {
        await velero.setStatus("Backup", name, { phase: "FailedValidation", validationErrors });
        const isNew = (now: VeleroObject | undefined) => now !== undefined && now.metadata.uid !== refused;
        refused = (await velero.until<VeleroObject>("Backup", name, isNew)).metadata.uid;
        // One that was not recorded when the run died is made anew without a word, and refused again.
      } while (conditionsOf(await fixture.read(name)).Blocked === undefined);
      await readmitted;
      await velero.setStatus("Backup", name, { phase: "Completed" });
    },
    exitCode: 0,
    conditions: { ...SUCCEEDED, Blocked: "False/Unblocked" },
    left: ({ metadata: { name } }) => [name],
  },
};

describe.concurrent("a run that dies at any of its calls is carried on by the next, to one end:", {
  timeout: 600_000,
}, (it) => {
  it.for(Object.entries(cases))("%s", async ([, crashCase], { expect }) => {
    const fixture = await openStage();
    const { attempt = 1 } = crashCase;
    for (let call = 1; ; call += 1) {
      expect(call).toBeLessThan(MAX_CALLS);
      const lives = await Promise.all(
        (["before", "after"] as const).map(async (when) => {
          const name = `${when}-${call}`;
          const operation = await fixture.admitted(name, { type: "Backup" });
          await crashCase.setUp?.(fixture, operation);
          const played = crashCase.play(fixture, operation);
          const job = { uid: jobUid(operation) };
          const first = await fixture
            .start(operation, { job, dies: { call, when } })
            .ended.catch((error: unknown) => error);
          const second = await fixture.start(operation, { job }).ended;
          await played;

          expect(second, name).toMatchObject({ exitCode: crashCase.exitCode });
          const done = await fixture.read(name);
          expect(conditionsOf(done), name).toEqual(crashCase.conditions);
          expect(done.status, name).toMatchObject({ runner: { attempt, jobUIDs: [job.uid] } });
          expect(done.status?.history ?? [], name).toHaveLength(attempt - 1);
          const left = await own(fixture, operation);
          expect(
            left.map(({ metadata }) => metadata.name),
            name,
          ).toEqual(crashCase.left(operation));
          if (left[0] !== undefined) expect(done.status?.engineRef?.uid, name).toBe(left[0].metadata.uid);
          return !(first instanceof Died);
        }),
      );
      if (lives.every((lived) => lived)) {
        // Joining, creating, following and the end: fewer calls would mean that nothing was tried.
        expect(call).toBeGreaterThan(10);
        return;
      }
    }
  });
});

function jobUid({ metadata: { name } }: Operation): string {
  return `job of ${name}`;
}

function otherName({ metadata: { name, uid } }: Operation, attempt = 1): string {
  return veleroNames({ name, uid }, attempt).at(-1) ?? "";
}

async function own(fixture: RunnerFixture, { metadata: { uid } }: Operation) {
  const selection = { namespace: fixture.velero.namespace, labelSelector: operationSelector(uid) };
  return (await client.list(backups, selection)).items;
}
