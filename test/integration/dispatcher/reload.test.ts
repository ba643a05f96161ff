import { createHmac } from "node:crypto";
import { mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { specDigest } from "../../../src/api/digest.ts";
import type { Operation } from "../../../src/api/operation.ts";
import { operations } from "../../../src/api/operation.ts";
import { storageLocations } from "../../../src/api/velero.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { temporaryFolder } from "../../temporaryFolder.ts";
import { DispatcherFixture, installApis } from "./dispatcherFixture.ts";
import type { DispatcherProcess } from "./dispatcherProcess.ts";

// What an admin changes while the dispatcher is at work.

const cluster = testCluster();
const folder = temporaryFolder();
let fixture: DispatcherFixture;

beforeAll(() => installApis(cluster, { snapshots: true }));
beforeEach(async () => {
  fixture = await DispatcherFixture.open(cluster);
});
afterEach(() => fixture.close());

/** A volume of a ConfigMap or a Secret, as the kubelet lays it out and changes it: by a symbolic link that it turns. */
class Volume {
  readonly #root: string;
  #version = 0;

  private constructor(root: string) {
    this.#root = root;
  }

  static async mount(name: string, file: string, text: string): Promise<Volume> {
    const volume = new Volume(join(folder(), name));
    await mkdir(volume.path(""), { recursive: true });
    await volume.update(file, text);
    await symlink(join("..data", file), volume.path(file));
    return volume;
  }

  path(file: string): string {
    return join(this.#root, file);
  }

  async update(file: string, text: string): Promise<void> {
    this.#version += 1;
    const version = `..${this.#version}`;
    await mkdir(this.path(version));
    await writeFile(this.path(join(version, file)), text);
    await symlink(version, this.path("..data_tmp"));
    await rename(this.path("..data_tmp"), this.path("..data"));
  }
}

/** What the metrics say of the settings, from the server that was opened last. */
async function settingsValid(dispatcher: DispatcherProcess): Promise<string | undefined> {
  const url = dispatcher.log.findLast((line) => line.url !== undefined)?.url;
  const text = await (await fetch(`${url}/metrics`)).text();
  return /^operation_runner_settings_valid (\d)$/m.exec(text)?.[1];
}

test("an Operation that a closed location holds runs once the location is opened; nothing is lost meanwhile", async () => {
  const closed = "storageLocationsClosed: true\nlimits: {maxConcurrentPerNamespace: 10}\n";
  const settings = await Volume.mount("settings", "settings.yaml", closed);
  const dispatcher = fixture.dispatcher({ OPERATION_RUNNER_SETTINGS: settings.path("settings.yaml") });
  const gold = { name: "gold", namespace: fixture.veleroNamespace };
  await fixture.client.create(storageLocations, {
    metadata: gold,
    spec: { provider: "aws", objectStorage: { bucket: "b" } },
  });
  await fixture.client.mergePatch(storageLocations, gold, { status: { phase: "Available" } });
  await fixture.target();
  const parameters = { storageLocation: "gold" };
  const held = await fixture.operation({ name: "held", parameters });
  expect((await fixture.says("held", "Accepted=False/StorageLocationForbidden")).status?.phase).toBe("Pending");

  // What cannot be used is told, and changes nothing.
  await settings.update("settings.yaml", `${closed}storageLocations: {gold: ${fixture.tenant}}\n`);
  const told = await dispatcher.logged(({ level, msg }) => level === "error" && /cannot be used/.test(msg ?? ""));
  expect(told.why).toMatch(/storageLocations\.gold: must be a list of namespaces/);
  expect(await settingsValid(dispatcher)).toBe("0");
  await fixture.operation({ name: "also-held", parameters });
  await fixture.says("also-held", "Accepted=False/StorageLocationForbidden");
  expect(dispatcher.log.filter(({ msg }) => msg === "starting")).toHaveLength(1);

  await settings.update("settings.yaml", `${closed}storageLocations: {gold: [${fixture.tenant}]}\n`);
  const seconds = (wanted: string) => () => dispatcher.log.filter(({ msg }) => msg === wanted).length === 2;
  const between: Operation[] = [];
  for (const [at, moment] of [
    dispatcher.logged(({ msg }) => msg === "lease released"),
    dispatcher.logged(seconds("starting")),
    dispatcher.logged(seconds("lease acquired")),
  ].entries()) {
    await moment;
    between.push(await fixture.operation({ name: `between-${at}`, parameters }));
  }
  for (const operation of [held, ...between]) await fixture.job(operation);
  expect(await settingsValid(dispatcher)).toBe("1");
  expect(dispatcher.log.filter(({ msg }) => msg === "lease released")).toHaveLength(1);
  // The same process all along, which still ends as it is asked to.
  expect(await dispatcher.stop("SIGTERM")).toBe(0);
});

/** A claim that is bound to an Operation and to what it asks for. */
function boundClaim(key: string, { metadata, spec }: Operation): string {
  if (spec === undefined) throw new Error("an Operation without a spec");
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const payload = { v: 2, uid: metadata.uid, digest: specDigest(spec), by: "ada", at: "2026-11-22T10:00:00Z", exp };
  const body = Buffer.from(JSON.stringify(payload)).toString("base64url");
  return `vws2.${body}.${createHmac("sha256", key).update(body).digest("hex")}`;
}

test("another approval key counts as soon as it is there, and the old one no longer", async () => {
  const key = await Volume.mount("key", "key", "old\n");
  const dispatcher = fixture.dispatcher({
    OPERATION_RUNNER_APPROVAL_KEY_FILE: key.path("key"),
    OPERATION_RUNNER_APPROVAL_REQUIRED_TYPES: "[Backup]",
    OPERATION_RUNNER_REQUIRE_BOUND_CLAIMS: "true",
  });
  await fixture.target();
  const approve = async (operation: Operation, secret: string) => {
    const { namespace, name } = operation.metadata;
    const approvals = { claim: boundClaim(secret, operation) };
    await fixture.client.mergePatch(operations, { namespace, name }, { spec: { approvals } });
  };
  const first = await fixture.operation({ name: "first" });
  const second = await fixture.operation({ name: "second" });
  await fixture.says("first", "Blocked=True/AwaitingApproval");
  await approve(first, "old");
  await fixture.job(first);
  await key.update("key", "new\n");
  await dispatcher.logged(({ msg }) => /settings have changed/.test(msg ?? ""));
  await approve(second, "old");
  await fixture.until(operations, { namespace: fixture.tenant, name: "second" }, (seen) =>
    (seen?.status?.conditions ?? []).some(({ message }) => message.includes("not signed with the configured key")),
  );
  await approve(second, "new");
  await fixture.job(second);
});
