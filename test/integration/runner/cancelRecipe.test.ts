import { describe, expect, test } from "vitest";
import type { VeleroObject } from "../../../src/api/velero.ts";
import { dataUploads, podVolumeBackups } from "../../../src/api/velero.ts";
import { systemClock } from "../../../src/kube/clock.ts";
import { ApiError, UnreachableError } from "../../../src/kube/errors.ts";
import { awaitCondition } from "../../../src/kube/wait.ts";
import { createLogger } from "../../../src/log.ts";
import { Deletions } from "./deletions.ts";
import {
  CLUSTER_ID,
  client,
  conditionsOf,
  type Run,
  type RunnerFixture,
  type RunOptions,
  runnerFixtures,
} from "./runnerFixture.ts";

const openStage = runnerFixtures();
const CANCEL = { "ops.vworkspace.io/cancel": "true" };
const COLLIDED = "backup execution failed: backup already exists in object storage";

interface Cancelled {
  readonly fixture: RunnerFixture;
  readonly run: Run;
  readonly deletions: Deletions;
  readonly object: VeleroObject;
  /** Runs the same Operation once more, as its Job does after its pod was killed. */
  again(): Run;
}

/** An Operation that was cancelled while Velero was in that phase, and the run that has seen it. */
async function cancelledIn(
  phase: string,
  prepare: (fixture: RunnerFixture, object: VeleroObject) => Promise<void> = async () => {},
  meanwhile: RunOptions["meanwhile"] = async () => {},
) {
  const fixture = await openStage();
  const operation = await fixture.admitted("b1", { type: "Backup" });
  const run = fixture.start(operation, { meanwhile });
  await fixture.until("b1", ({ engineRef }) => engineRef?.uid !== undefined);
  await fixture.velero.setStatus("Backup", "b1", { phase });
  await fixture.until("b1", ({ conditions = [] }) => conditions.some(({ message }) => message.includes(phase)));
  const object = await fixture.velero.created("Backup", "b1");
  await prepare(fixture, object);
  await fixture.annotate("b1", CANCEL);
  // What Velero finishes before the runner has recorded the cancel is kept.
  await fixture.until("b1", ({ conditions = [] }) =>
    conditions.some(({ type, status }) => type === "Cancelled" && status === "Unknown"),
  );
  const deletions = new Deletions(client, fixture.velero.namespace);
  const cancelled: Cancelled = { fixture, run, deletions, object, again: () => fixture.start(operation) };
  return cancelled;
}

async function expectCancelled({
  fixture,
  run,
  deletions,
}: Pick<Cancelled, "fixture" | "run" | "deletions">): Promise<string> {
  expect(await run.ended).toMatchObject({ exitCode: 2 });
  const done = await fixture.read("b1");
  expect(done.status?.phase).toBe("Failed");
  expect(conditionsOf(done)).toMatchObject({ Cancelled: "True/CancelledByUser", Running: "False/CancelledByUser" });
  expect(await deletions.all()).toEqual([]);
  return done.status?.conditions?.find(({ type }) => type === "Cancelled")?.message ?? "";
}

/** A data movement of the Backup with that uid. */
async function movement(
  fixture: RunnerFixture,
  resource: typeof dataUploads,
  name: string,
  uid: string,
  phase?: string,
) {
  const metadata = { name, namespace: fixture.velero.namespace, labels: { "velero.io/backup-uid": uid } };
  const spec = resource.kind === "DataUpload" ? DATA_UPLOAD : POD_VOLUME_BACKUP;
  await client.create(resource, { metadata, spec, ...(phase !== undefined && { status: { phase } }) });
}

const DATA_UPLOAD = {
  snapshotType: "CSI",
  csiSnapshot: { volumeSnapshot: "vs", storageClass: "sc" },
  sourcePVC: "data",
  sourceNamespace: "org-a",
  backupStorageLocation: "default",
  operationTimeout: "10m0s",
};
const POD_VOLUME_BACKUP = {
  node: "n1",
  pod: { kind: "Pod", name: "p", namespace: "org-a" },
  volume: "data",
  backupStorageLocation: "default",
  repoIdentifier: "",
  uploaderType: "kopia",
};

async function untilCancelled(fixture: RunnerFixture, resource: typeof dataUploads, name: string): Promise<void> {
  const options = { signal: new AbortController().signal, logger: createLogger("t", "silent"), clock: systemClock };
  const target = { namespace: fixture.velero.namespace, name };
  await awaitCondition(client, resource, target, (object) => object?.spec?.cancel === true, options);
}

describe("a Backup that is cancelled during its run", () => {
  test("has its volume data stopped, and is deleted by Velero when the run is over", async () => {
    const cancelled = await cancelledIn("InProgress", async (fixture, { metadata: { uid } }) => {
      await movement(fixture, podVolumeBackups, "pvb", uid);
      await movement(fixture, dataUploads, "du", uid);
      await movement(fixture, dataUploads, "done", uid, "Completed");
      await movement(fixture, dataUploads, "foreign", "other-uid");
    });
    const { fixture, deletions, object } = cancelled;
    await untilCancelled(fixture, podVolumeBackups, "pvb");
    await untilCancelled(fixture, dataUploads, "du");
    await fixture.velero.setStatus("Backup", "b1", { phase: "Finalizing" });
    await fixture.velero.setStatus("Backup", "b1", { phase: "Completed" });

    const request = await deletions.next();
    expect(request.spec).toEqual({ backupName: "b1" });
    expect(request.metadata.name).toMatch(/^b1-/);
    expect(request.metadata.labels).toEqual({
      "velero.io/backup-name": "b1",
      "velero.io/backup-uid": object.metadata.uid,
      "app.vworkspace.io/managed-by": "vworkspace-operator",
      "app.vworkspace.io/cluster-id": CLUSTER_ID,
      "app.vworkspace.io/application-instance": "shop",
      "ops.vworkspace.io/target": "shop",
      "ops.vworkspace.io/operation": object.metadata.labels?.["ops.vworkspace.io/operation"],
      "ops.vworkspace.io/attempt": "1",
    });
    await deletions.carryOut(request);
    expect(await expectCancelled(cancelled)).toBe("cancelled, no velero.io/Backup of this attempt is kept");
    expect(await fixture.velero.all("Backup")).toEqual([]);
    const untouched = (await client.list(dataUploads, { namespace: fixture.velero.namespace })).items;
    expect(Object.fromEntries(untouched.map(({ metadata, spec }) => [metadata.name, spec?.cancel]))).toEqual({
      du: true,
      done: undefined,
      foreign: undefined,
    });
  });

  test("is ended for all the trouble that the API server makes", async () => {
    let asked = 0;
    const trouble = async (call: string) => {
      if (call.startsWith("patch podvolumebackups")) throw new ApiError(call, 404, "gone");
      if (!call.startsWith("create deletebackuprequests")) return;
      asked += 1;
      if (asked === 1) throw new UnreachableError(call, "ECONNRESET");
    };
    const prepare = async (fixture: RunnerFixture, { metadata: { uid } }: VeleroObject) => {
      await movement(fixture, podVolumeBackups, "pvb", uid);
      await movement(fixture, dataUploads, "du", uid);
    };
    const cancelled = await cancelledIn("InProgress", prepare, trouble);
    await untilCancelled(cancelled.fixture, dataUploads, "du");
    await cancelled.fixture.velero.setStatus("Backup", "b1", { phase: "Completed" });
    await cancelled.deletions.carryOut(await cancelled.deletions.next());
    await expectCancelled(cancelled);
    expect(asked).toBe(2);
  });

  test("is asked for again when Velero refuses to delete it", async () => {
    const cancelled = await cancelledIn("Finalizing");
    const { fixture, deletions } = cancelled;
    await fixture.velero.setStatus("Backup", "b1", { phase: "PartiallyFailed" });
    const first = await deletions.next();
    await deletions.refuse(first, "backup is still in progress");
    const second = await deletions.next();
    expect(second.metadata.uid).not.toBe(first.metadata.uid);
    await deletions.carryOut(second);
    await expectCancelled(cancelled);
    expect(await fixture.velero.all("Backup")).toEqual([]);
  });

  test("goes without a request when it fails because an older backup has its name in the store", async () => {
    const cancelled = await cancelledIn("InProgress");
    await cancelled.fixture.velero.setStatus("Backup", "b1", { phase: "Failed", failureReason: COLLIDED });
    await expectCancelled(cancelled);
    expect(await cancelled.fixture.velero.all("Backup")).toEqual([]);
  });

  test("goes without a request when it fails and nobody can tell whose files the store has", async () => {
    const cancelled = await cancelledIn("InProgress");
    const failureReason = "backup execution failed: rpc error";
    await cancelled.fixture.velero.setStatus("Backup", "b1", { phase: "Failed", failureReason });
    expect(await expectCancelled(cancelled)).toBe(
      "cancelled, no velero.io/Backup of this attempt is kept; it may have left files in the object store; the runner could not tell whether the files there are its own",
    );
    expect(await cancelled.fixture.velero.all("Backup")).toEqual([]);
  });

  test("is waited for while Velero is about to start it", async () => {
    const cancelled = await cancelledIn("ReadyToStart");
    const { fixture, deletions } = cancelled;
    await fixture.velero.setStatus("Backup", "b1", { phase: "InProgress" });
    await fixture.velero.setStatus("Backup", "b1", { phase: "Completed" });
    await deletions.carryOut(await deletions.next());
    await expectCancelled(cancelled);
  });

  test("is not asked for twice when the runner is killed after it asked", async () => {
    const cancelled = await cancelledIn("InProgress");
    const { fixture, run, deletions, again } = cancelled;
    await fixture.velero.setStatus("Backup", "b1", { phase: "Completed" });
    const request = await deletions.next();
    run.stop();
    await expect(run.ended).rejects.toThrow("killed");
    const successor = again();
    await fixture.until("b1", ({ runner }) => runner?.jobUIDs?.length === 2);
    await deletions.carryOut(request);
    await expectCancelled({ fixture, deletions, run: successor });
  });

  test("goes too when Velero brought it back from the store while no runner was there", async () => {
    const cancelled = await cancelledIn("InProgress");
    const { fixture, run, deletions, again, object } = cancelled;
    await fixture.until("b1", ({ conditions = [] }) =>
      conditions.some(({ message }) => message.startsWith("cancel: ")),
    );
    run.stop();
    await expect(run.ended).rejects.toThrow("killed");
    const { labels = {} } = object.metadata;
    await fixture.velero.delete("Backup", "b1");
    const copy = await fixture.velero.make("Backup", "b1", { labels, status: { phase: "Completed" } });
    const successor = again();
    const request = await deletions.next();
    expect(request.metadata.labels?.["velero.io/backup-uid"]).toBe(copy.metadata.uid);
    await deletions.carryOut(request);
    await expectCancelled({ fixture, deletions, run: successor });
    expect(await fixture.velero.all("Backup")).toEqual([]);
  });
});

describe("when somebody makes another Backup of that name meanwhile", () => {
  test("the request that Velero has not read yet is taken back, and the other one left alone", async () => {
    const cancelled = await cancelledIn("InProgress");
    const { fixture, deletions } = cancelled;
    await fixture.velero.setStatus("Backup", "b1", { phase: "Completed" });
    const request = await deletions.next();
    await fixture.velero.delete("Backup", "b1");
    const others = await fixture.velero.make("Backup", "b1", { spec: { ttl: "1h" }, status: { phase: "InProgress" } });
    await deletions.gone(request);
    await expectCancelled(cancelled);
    expect(await fixture.velero.all("Backup")).toEqual([others]);
  });
});
