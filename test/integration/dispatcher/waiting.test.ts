import { createHmac } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type Operation, operations } from "../../../src/api/operation.ts";
import { isAdmitted } from "../../../src/api/status.ts";
import { backups, storageLocations } from "../../../src/api/velero.ts";
import { configMaps, jobs, volumeSnapshotClasses } from "../../../src/kube/resources.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { temporaryFolder } from "../../temporaryFolder.ts";
import { DispatcherFixture, installApis } from "./dispatcherFixture.ts";

// Each Operation here waits for something, and goes on as the direct effect of the event that it waited for.

const cluster = testCluster();
const folder = temporaryFolder();
let fixture: DispatcherFixture;

beforeAll(() => installApis(cluster, { snapshots: true }));
beforeEach(async () => {
  fixture = await DispatcherFixture.open(cluster);
});
afterEach(() => fixture.close());

test("a Backup waits for its target to appear", async () => {
  fixture.dispatcher();
  const operation = await fixture.operation({ name: "nightly" });
  expect((await fixture.says("nightly", "Accepted=False/TargetNotFound")).status?.phase).toBe("Pending");
  await fixture.target();
  await fixture.job(operation);
});

test("a Backup waits for its target to be ready", async () => {
  fixture.dispatcher();
  await fixture.target("shop", "False");
  const operation = await fixture.operation({ name: "nightly" });
  await fixture.says("nightly", "Blocked=True/TargetNotReady");
  await fixture.target("shop", "True");
  await fixture.job(operation);
  await fixture.says("nightly", "Blocked=False/Unblocked");
});

test("a Backup waits for its snapshot class", async () => {
  fixture.dispatcher();
  await fixture.target();
  const name = `class-${fixture.tenant}`;
  const operation = await fixture.operation({ name: "nightly", parameters: { csiSnapshotClassName: name } });
  await fixture.says("nightly", "Blocked=True/MissingVolumeSnapshotClass");
  await fixture.client.create(volumeSnapshotClasses, {
    metadata: { name },
    driver: "d.example.com",
    deletionPolicy: "Delete",
  });
  await fixture.job(operation);
  await fixture.client.delete(volumeSnapshotClasses, { name });
});

test("a Backup waits for its storage location", async () => {
  fixture.dispatcher();
  await fixture.target();
  const metadata = { name: "gold", namespace: fixture.veleroNamespace };
  const operation = await fixture.operation({ name: "nightly", parameters: { storageLocation: "gold" } });
  await fixture.says("nightly", "Blocked=True/StorageLocationUnavailable");
  const spec = { provider: "aws", objectStorage: { bucket: "b" } };
  await fixture.client.create(storageLocations, { metadata, spec });
  const status = { phase: "Unavailable", message: "bucket b is gone" };
  await fixture.client.mergePatch(storageLocations, metadata, { status });
  const { status: said } = (await fixture.until(operations, { namespace: fixture.tenant, name: "nightly" }, (seen) =>
    (seen?.status?.conditions ?? []).some(({ message }) => message.includes("bucket b is gone")),
  )) ?? { status: undefined };
  expect(isAdmitted(said)).toBe(false);
  await fixture.client.mergePatch(storageLocations, metadata, { status: { phase: "Available", message: "" } });
  await fixture.job(operation);
});

/** A claim as the platform's control plane signs them. */
function signedClaim(key: string, operation: string, expires: Date): string {
  const payload = {
    v: 1,
    rid: 1,
    op: operation,
    by: "ada",
    at: "2026-11-22T10:00:00Z",
    exp: Math.floor(expires.getTime() / 1000),
  };
  const body = Buffer.from(JSON.stringify(payload)).toString("base64url");
  return `vws1.${body}.${createHmac("sha256", key).update(body).digest("hex")}`;
}

test("an Operation waits for its approval, and an approval that runs out before it runs has to be given anew", async () => {
  const key = join(folder(), "key");
  await writeFile(key, "s3cret\n");
  fixture.dispatcher({ OPERATION_RUNNER_APPROVAL_KEY_FILE: key, OPERATION_RUNNER_LIMITS_MAX_CONCURRENT: "1" });
  await fixture.target();
  const first = await fixture.operation({ name: "first" });
  await fixture.job(first);
  const operation = await fixture.operation({ name: "nightly", approvals: { required: true } });
  await fixture.says("nightly", "Blocked=True/AwaitingApproval");
  const approve = async (expires: Date) => {
    const approvals = { required: true, claim: signedClaim("s3cret", "nightly", expires) };
    await fixture.client.mergePatch(
      operations,
      { namespace: fixture.tenant, name: "nightly" },
      { spec: { approvals } },
    );
  };
  await approve(new Date(Date.now() + 8_000));
  await fixture.says("nightly", "Running=False/Queued");
  // Nothing happens but that time passes.
  await fixture.says("nightly", "Blocked=True/AwaitingApproval");
  await approve(new Date(Date.now() + 3_600_000));
  await fixture.says("nightly", "Running=False/Queued");
  await fixture.succeed("first");
  await fixture.job(operation);
});

test("a Restore runs alone: it waits for the Backup before it, and the Backup after it waits for it", async () => {
  fixture.dispatcher();
  await fixture.target();
  const first = await fixture.operation({ name: "first" });
  await fixture.job(first);
  const restore = await fixture.operation({ name: "restore", type: "Restore", parameters: { backupName: "first" } });
  const waiting = await fixture.says("restore", "Blocked=True/ConflictingOperation");
  expect(waiting.status?.conditions?.find(({ type }) => type === "Blocked")?.message).toContain("first");
  await fixture.succeed("first");
  await fixture.job(restore);
  const second = await fixture.operation({ name: "second" });
  await fixture.says("second", "Blocked=True/ConflictingOperation");
  await fixture.client.delete(operations, { namespace: fixture.tenant, name: "restore" });
  await fixture.job(second);
});

test("no more run at once than the limits say, the oldest first", async () => {
  fixture.dispatcher({ OPERATION_RUNNER_LIMITS_MAX_CONCURRENT: "2" });
  await fixture.target();
  const running = [await fixture.operation({ name: "a" }), await fixture.operation({ name: "b" })];
  for (const operation of running) await fixture.job(operation);
  const line = [];
  for (const name of ["c", "d", "e"]) line.push(await fixture.operation({ name }));
  // To the second; then by UID.
  const age = ({ metadata }: Operation) => metadata.creationTimestamp + metadata.uid;
  line.sort((one, other) => (age(one) < age(other) ? -1 : 1));
  for (;;) {
    // Everybody in line knows where, so nothing is still to be decided.
    for (const [index, { metadata }] of line.entries()) {
      await fixture.until(operations, { namespace: fixture.tenant, name: metadata.name }, (seen) =>
        (seen?.status?.conditions ?? []).some(({ message }) =>
          message.includes(`position ${index + 1} of ${line.length}`),
        ),
      );
    }
    expect(await fixture.jobNames()).toHaveLength(5 - line.length);
    const ended = running.shift();
    const next = line.shift();
    if (ended === undefined || next === undefined) return;
    await fixture.succeed(ended.metadata.name);
    running.push(next);
    await fixture.job(next);
  }
});

test("a broken template is told on the Operation, and mending it is enough", async () => {
  const metadata = { name: "operation-jobs", namespace: fixture.jobNamespace };
  const { data } = await fixture.client.get(configMaps, metadata);
  await fixture.client.mergePatch(configMaps, metadata, { data: { "backup.yaml": "kind: Pod" } });
  const dispatcher = fixture.dispatcher();
  await dispatcher.logged(({ level, msg }) => level === "error" && msg === "Job template cannot be used");
  await fixture.target();
  const operation = await fixture.operation({ name: "nightly" });
  const refused = await fixture.says("nightly", "Accepted=False/TemplateInvalid");
  expect(refused.status?.phase).not.toBe("Failed");

  // Valid as far as anybody can tell, but not for the API server.
  const impossible =
    data?.["backup.yaml"]?.replace("imagePullPolicy: IfNotPresent", "imagePullPolicy: Sometimes") ?? "";
  await fixture.client.mergePatch(configMaps, metadata, { data: { "backup.yaml": impossible } });
  await fixture.until(operations, { namespace: fixture.tenant, name: "nightly" }, (seen) =>
    (seen?.status?.conditions ?? []).some(
      ({ reason, message }) =>
        reason === "TemplateInvalid" && message.includes("refuses spec.template.spec.containers[0].imagePullPolicy"),
    ),
  );
  await fixture.client.mergePatch(configMaps, metadata, { data: { "backup.yaml": data?.["backup.yaml"] } });
  await fixture.job(operation);
});

test("a Restore waits no longer for a Backup whose runner gave up once Velero deletes that", async () => {
  fixture.dispatcher();
  await fixture.target();
  const { metadata } = await fixture.operation({ name: "left" });
  await fixture.says("left", "Accepted=True/TemplateValidated");
  const labels = {
    "app.vworkspace.io/managed-by": "vworkspace-operator",
    "ops.vworkspace.io/operation": metadata.uid,
    "ops.vworkspace.io/attempt": "1",
  };
  const name = { name: "left", namespace: fixture.veleroNamespace };
  const backup = await fixture.client.create(backups, { metadata: { ...name, labels }, spec: {} });
  await fixture.client.mergePatch(backups, name, { status: { phase: "InProgress" } });
  const because = { reason: "RunnerFailed", message: "gave up" };
  await fixture.report("left", {
    phase: "Failed",
    engineRef: { name: "left", uid: backup.metadata.uid },
    conditions: [{ type: "Failed", status: "True", ...because }],
  });
  const next = await fixture.operation({ name: "next", type: "Restore", parameters: { backupName: "b1" } });
  await fixture.says("next", "Blocked=True/ConflictingOperation");
  await fixture.client.mergePatch(backups, name, { status: { phase: "Deleting" } });
  await fixture.job(next);
});

test("an Operation waits for one that is deleted only as long as that is worked on, whoever holds it after that", async () => {
  fixture.dispatcher();
  await fixture.target();
  const { metadata } = await fixture.job(await fixture.operation({ name: "held" }));
  const held = { namespace: fixture.tenant, name: "held" };
  await fixture.client.mergePatch(operations, held, { metadata: { finalizers: ["example.com/keep"] } });
  const next = await fixture.operation({ name: "next", type: "Restore", parameters: { backupName: "b1" } });
  await fixture.client.delete(operations, held);
  await fixture.says("next", "Blocked=True/ConflictingOperation");
  const job = { namespace: fixture.jobNamespace, name: metadata.name };
  await fixture.client.delete(jobs, job, { propagationPolicy: "Background" });
  await fixture.job(next);
  await fixture.client.mergePatch(operations, held, { metadata: { finalizers: [] } });
});

test("a Restore waits for what a deleted Backup has left at work in its namespace", async () => {
  fixture.dispatcher();
  await fixture.target();
  const labels = {
    "app.vworkspace.io/managed-by": "vworkspace-operator",
    "ops.vworkspace.io/operation": "of-one-that-is-gone",
  };
  const name = { name: "left", namespace: fixture.veleroNamespace };
  await fixture.client.create(backups, {
    metadata: { ...name, labels },
    spec: { includedNamespaces: [fixture.tenant] },
  });
  await fixture.client.mergePatch(backups, name, { status: { phase: "InProgress" } });
  const next = await fixture.operation({ name: "next", type: "Restore", parameters: { backupName: "b1" } });
  await fixture.says("next", "Blocked=True/ConflictingOperation");
  await fixture.client.mergePatch(backups, name, { status: { phase: "Completed" } });
  await fixture.job(next);
});
