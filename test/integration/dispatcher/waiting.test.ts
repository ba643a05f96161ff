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
import { Arena, installApis } from "./dispatcherFixture.ts";

// Each Operation here waits for something, and goes on as the direct effect of the event that it waited for.

const cluster = testCluster();
const folder = temporaryFolder();
let arena: Arena;

beforeAll(() => installApis(cluster, { snapshots: true }));
beforeEach(async () => {
  arena = await Arena.open(cluster);
});
afterEach(() => arena.close());

test("a Backup waits for its target to appear", async () => {
  arena.dispatcher();
  const operation = await arena.operation({ name: "nightly" });
  expect((await arena.says("nightly", "Accepted=False/TargetNotFound")).status?.phase).toBe("Pending");
  await arena.target();
  await arena.job(operation);
});

test("a Backup waits for its target to be ready", async () => {
  arena.dispatcher();
  await arena.target("shop", "False");
  const operation = await arena.operation({ name: "nightly" });
  await arena.says("nightly", "Blocked=True/TargetNotReady");
  await arena.target("shop", "True");
  await arena.job(operation);
  await arena.says("nightly", "Blocked=False/Unblocked");
});

test("a Backup waits for its snapshot class", async () => {
  arena.dispatcher();
  await arena.target();
  const name = `class-${arena.tenant}`;
  const operation = await arena.operation({ name: "nightly", parameters: { csiSnapshotClassName: name } });
  await arena.says("nightly", "Blocked=True/MissingVolumeSnapshotClass");
  await arena.client.create(volumeSnapshotClasses, {
    metadata: { name },
    driver: "d.example.com",
    deletionPolicy: "Delete",
  });
  await arena.job(operation);
  await arena.client.delete(volumeSnapshotClasses, { name });
});

test("a Backup waits for its storage location", async () => {
  arena.dispatcher();
  await arena.target();
  const metadata = { name: "gold", namespace: arena.veleroNamespace };
  const operation = await arena.operation({ name: "nightly", parameters: { storageLocation: "gold" } });
  await arena.says("nightly", "Blocked=True/StorageLocationUnavailable");
  const spec = { provider: "aws", objectStorage: { bucket: "b" } };
  await arena.client.create(storageLocations, { metadata, spec });
  const status = { phase: "Unavailable", message: "bucket b is gone" };
  await arena.client.mergePatch(storageLocations, metadata, { status });
  const { status: said } = (await arena.until(operations, { namespace: arena.tenant, name: "nightly" }, (seen) =>
    (seen?.status?.conditions ?? []).some(({ message }) => message.includes("bucket b is gone")),
  )) ?? { status: undefined };
  expect(isAdmitted(said)).toBe(false);
  await arena.client.mergePatch(storageLocations, metadata, { status: { phase: "Available", message: "" } });
  await arena.job(operation);
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
  arena.dispatcher({ OPERATION_RUNNER_APPROVAL_KEY_FILE: key, OPERATION_RUNNER_LIMITS_MAX_CONCURRENT: "1" });
  await arena.target();
  const first = await arena.operation({ name: "first" });
  await arena.job(first);
  const operation = await arena.operation({ name: "nightly", approvals: { required: true } });
  await arena.says("nightly", "Blocked=True/AwaitingApproval");
  const approve = async (expires: Date) => {
    const approvals = { required: true, claim: signedClaim("s3cret", "nightly", expires) };
    await arena.client.mergePatch(operations, { namespace: arena.tenant, name: "nightly" }, { spec: { approvals } });
  };
  await approve(new Date(Date.now() + 8_000));
  await arena.says("nightly", "Running=False/Queued");
  // Nothing happens but that time passes.
  await arena.says("nightly", "Blocked=True/AwaitingApproval");
  await approve(new Date(Date.now() + 3_600_000));
  await arena.says("nightly", "Running=False/Queued");
  await arena.succeed("first");
  await arena.job(operation);
});

test("a Restore runs alone: it waits for the Backup before it, and the Backup after it waits for it", async () => {
  arena.dispatcher();
  await arena.target();
  const first = await arena.operation({ name: "first" });
  await arena.job(first);
  const restore = await arena.operation({ name: "restore", type: "Restore", parameters: { backupName: "first" } });
  const waiting = await arena.says("restore", "Blocked=True/ConflictingOperation");
  expect(waiting.status?.conditions?.find(({ type }) => type === "Blocked")?.message).toContain("first");
  await arena.succeed("first");
  await arena.job(restore);
  const second = await arena.operation({ name: "second" });
  await arena.says("second", "Blocked=True/ConflictingOperation");
  await arena.client.delete(operations, { namespace: arena.tenant, name: "restore" });
  await arena.job(second);
});

test("no more run at once than the limits say, the oldest first", async () => {
  arena.dispatcher({ OPERATION_RUNNER_LIMITS_MAX_CONCURRENT: "2" });
  await arena.target();
  const running = [await arena.operation({ name: "a" }), await arena.operation({ name: "b" })];
  for (const operation of running) await arena.job(operation);
  const line = [];
  for (const name of ["c", "d", "e"]) line.push(await arena.operation({ name }));
  // To the second; then by UID.
  const age = ({ metadata }: Operation) => metadata.creationTimestamp + metadata.uid;
  line.sort((one, other) => (age(one) < age(other) ? -1 : 1));
  for (;;) {
    // Everybody in line knows where, so nothing is still to be decided.
    for (const [index, { metadata }] of line.entries()) {
      await arena.until(operations, { namespace: arena.tenant, name: metadata.name }, (seen) =>
        (seen?.status?.conditions ?? []).some(({ message }) =>
          message.includes(`position ${index + 1} of ${line.length}`),
        ),
      );
    }
    expect(await arena.jobNames()).toHaveLength(5 - line.length);
    const ended = running.shift();
    const next = line.shift();
    if (ended === undefined || next === undefined) return;
    await arena.succeed(ended.metadata.name);
    running.push(next);
    await arena.job(next);
  }
});

test("a broken template is told on the Operation, and mending it is enough", async () => {
  const metadata = { name: "operation-jobs", namespace: arena.jobNamespace };
  const { data } = await arena.client.get(configMaps, metadata);
  await arena.client.mergePatch(configMaps, metadata, { data: { "backup.yaml": "kind: Pod" } });
  const dispatcher = arena.dispatcher();
  await dispatcher.logged(({ level, msg }) => level === "error" && msg === "Job template cannot be used");
  await arena.target();
  const operation = await arena.operation({ name: "nightly" });
  const refused = await arena.says("nightly", "Accepted=False/TemplateInvalid");
  expect(refused.status?.phase).not.toBe("Failed");

  // Valid as far as anybody can tell, but not for the API server.
  const impossible =
    data?.["backup.yaml"]?.replace("imagePullPolicy: IfNotPresent", "imagePullPolicy: Sometimes") ?? "";
  await arena.client.mergePatch(configMaps, metadata, { data: { "backup.yaml": impossible } });
  await arena.until(operations, { namespace: arena.tenant, name: "nightly" }, (seen) =>
    (seen?.status?.conditions ?? []).some(
      ({ reason, message }) =>
        reason === "TemplateInvalid" && message.includes("refuses spec.template.spec.containers[0].imagePullPolicy"),
    ),
  );
  await arena.client.mergePatch(configMaps, metadata, { data: { "backup.yaml": data?.["backup.yaml"] } });
  await arena.job(operation);
});

test("a Restore waits no longer for a Backup whose runner gave up once Velero deletes that", async () => {
  arena.dispatcher();
  await arena.target();
  const { metadata } = await arena.operation({ name: "left" });
  await arena.says("left", "Accepted=True/TemplateValidated");
  const labels = {
    "app.vworkspace.io/managed-by": "vworkspace-operator",
    "ops.vworkspace.io/operation": metadata.uid,
    "ops.vworkspace.io/attempt": "1",
  };
  const name = { name: "left", namespace: arena.veleroNamespace };
  const backup = await arena.client.create(backups, { metadata: { ...name, labels }, spec: {} });
  await arena.client.mergePatch(backups, name, { status: { phase: "InProgress" } });
  const because = { reason: "RunnerFailed", message: "gave up" };
  await arena.report("left", {
    phase: "Failed",
    engineRef: { name: "left", uid: backup.metadata.uid },
    conditions: [{ type: "Failed", status: "True", ...because }],
  });
  const next = await arena.operation({ name: "next", type: "Restore", parameters: { backupName: "b1" } });
  await arena.says("next", "Blocked=True/ConflictingOperation");
  await arena.client.mergePatch(backups, name, { status: { phase: "Deleting" } });
  await arena.job(next);
});

test("an Operation waits for one that is deleted only as long as that is worked on, whoever holds it after that", async () => {
  arena.dispatcher();
  await arena.target();
  const { metadata } = await arena.job(await arena.operation({ name: "held" }));
  const held = { namespace: arena.tenant, name: "held" };
  await arena.client.mergePatch(operations, held, { metadata: { finalizers: ["example.com/keep"] } });
  const next = await arena.operation({ name: "next", type: "Restore", parameters: { backupName: "b1" } });
  await arena.client.delete(operations, held);
  await arena.says("next", "Blocked=True/ConflictingOperation");
  const job = { namespace: arena.jobNamespace, name: metadata.name };
  await arena.client.delete(jobs, job, { propagationPolicy: "Background" });
  await arena.job(next);
  await arena.client.mergePatch(operations, held, { metadata: { finalizers: [] } });
});

test("a Restore waits for what a deleted Backup has left at work in its namespace", async () => {
  arena.dispatcher();
  await arena.target();
  const labels = {
    "app.vworkspace.io/managed-by": "vworkspace-operator",
    "ops.vworkspace.io/operation": "of-one-that-is-gone",
  };
  const name = { name: "left", namespace: arena.veleroNamespace };
  await arena.client.create(backups, { metadata: { ...name, labels }, spec: { includedNamespaces: [arena.tenant] } });
  await arena.client.mergePatch(backups, name, { status: { phase: "InProgress" } });
  const next = await arena.operation({ name: "next", type: "Restore", parameters: { backupName: "b1" } });
  await arena.says("next", "Blocked=True/ConflictingOperation");
  await arena.client.mergePatch(backups, name, { status: { phase: "Completed" } });
  await arena.job(next);
});
