import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Condition, operations, type Status } from "../../../src/api/operation.ts";
import { storageLocations } from "../../../src/api/velero.ts";
import { volumeSnapshotClasses } from "../../../src/kube/resources.ts";
import { backupOperation, readOperation, restoreOperation } from "../../scenario/operations.ts";
import { SYSTEM_NAMESPACE, VELERO_NAMESPACE } from "../../scenario/platform.ts";
import { CLASS_OF_B, LOCATION_OF_B, SharedCluster } from "./sharedCluster.ts";

// Ann, who may edit org-a, asks for what she may not have, and for what nobody should ask.
let shared: SharedCluster;

beforeAll(async () => {
  shared = await SharedCluster.open();
  await shared.target("org-a", "shop");
});
afterAll(() => shared?.close());

let count = 0;
const fresh = () => `request-${++count}`;

/** Ann creates an Operation in org-a, which the API server takes; returns why it then came to nothing. */
async function refusedAfterwards(operation: (name: string) => object): Promise<string> {
  const name = fresh();
  expect(await shared.create(operation(name), shared.users.ann)).toMatchObject({ code: 0, stderr: "" });
  return await shared.refusal("org-a", name);
}

describe("what the platform decides", () => {
  test("a target whose release lies in another's namespace lends its name to nobody", async () => {
    await shared.target("org-a", "lender", "org-b");
    const why = await refusedAfterwards((name) => backupOperation({ namespace: "org-a", name, target: "lender" }));
    expect(why).toMatch(/^TargetNamespaceForbidden: .*org-b.* not in the target's own namespace org-a/);
  });

  test("a storage location of another team's is refused, named or not", async () => {
    await shared.client.create(storageLocations, {
      metadata: { name: LOCATION_OF_B, namespace: VELERO_NAMESPACE },
      spec: { provider: "aws", objectStorage: { bucket: "b" } },
      status: { phase: "Available" },
    });
    const parameters = { storageLocation: LOCATION_OF_B };
    const why = await refusedAfterwards((name) => backupOperation({ namespace: "org-a", name, parameters }));
    expect(why).toContain(
      'StorageLocationForbidden: spec.parameters.storageLocation: "team-b" is not open to namespace org-a',
    );
    await shared.client.mergePatch(
      storageLocations,
      { name: LOCATION_OF_B, namespace: VELERO_NAMESPACE },
      { spec: { default: true } },
    );
    await expect
      .poll(() => refusedAfterwards((name) => backupOperation({ namespace: "org-a", name })), { timeout: 60_000 })
      .toContain('the default "team-b" is not open to namespace org-a');
    // They wait, and would run as soon as another default is open to them.
    expect(await shared.cluster.kubectl(["delete", "operations", "--all", "-n", "org-a"])).toMatchObject({ code: 0 });
    await shared.client.delete(storageLocations, { name: LOCATION_OF_B, namespace: VELERO_NAMESPACE });
  });

  test("a storage location or snapshot class that is closed is refused: another team's, and one that nobody lists", async () => {
    for (const name of [CLASS_OF_B, "fresh"]) {
      await shared.client.create(volumeSnapshotClasses, {
        metadata: { name },
        driver: "csi.example.com",
        deletionPolicy: "Delete",
      });
      const parameters = { csiSnapshotClassName: name };
      const why = await refusedAfterwards((request) =>
        backupOperation({ namespace: "org-a", name: request, parameters }),
      );
      expect(why).toBe(
        `SnapshotClassForbidden: spec.parameters.csiSnapshotClassName: "${name}" is not open to namespace org-a; name one that is`,
      );
    }
    await shared.client.create(storageLocations, {
      metadata: { name: "fresh", namespace: VELERO_NAMESPACE },
      spec: { provider: "aws", objectStorage: { bucket: "b" } },
      status: { phase: "Available" },
    });
    const parameters = { storageLocation: "fresh" };
    const why = await refusedAfterwards((name) => backupOperation({ namespace: "org-a", name, parameters }));
    expect(why).toMatch(/^StorageLocationForbidden: .*"fresh" is not open to namespace org-a/);
    // Whose they are may use them.
    await shared.target("org-b", "theirs");
    const theirs = { namespace: "org-b", target: "theirs", parameters: { csiSnapshotClassName: CLASS_OF_B } };
    await shared.create(backupOperation({ ...theirs, name: "class-of-b" }), shared.users.bob);
    await shared.until("org-b", "class-of-b", ({ status }) => status?.runner?.jobName !== undefined);
  });

  test("what was admitted cannot be changed, nor its outcome written", async () => {
    await shared.create(
      restoreOperation({ namespace: "org-a", name: "fixed", parameters: { backupName: "a" } }),
      shared.users.ann,
    );
    const patch = (body: object, ...options: string[]) =>
      shared.cluster.kubectl(
        ["patch", "operation/fixed", "-n", "org-a", "--type=merge", "-p", JSON.stringify(body), ...options],
        { as: shared.users.ann },
      );
    const mapping = { spec: { parameters: { namespaceMapping: { "org-b": "org-a" } } } };
    expect((await patch(mapping)).stderr).toContain("spec is immutable");
    expect((await patch({ spec: { parameters: { backupName: "b" } } })).stderr).toContain("spec is immutable");
    expect((await patch({ status: { phase: "Succeeded" } }, "--subresource=status")).stderr).toContain("Forbidden");
    await patch({ status: { phase: "Succeeded", engineRef: { name: "b" } } });
    const { status } = await readOperation(shared.cluster, "org-a", "fixed");
    expect(status?.phase).not.toBe("Succeeded");
    expect(await shared.carryOut("org-a", "fixed")).toBe(2);
  });

  test.each([
    ["jobs", SYSTEM_NAMESPACE],
    ["pods", SYSTEM_NAMESPACE],
    ["configmaps", SYSTEM_NAMESPACE],
    ["backups.velero.io", VELERO_NAMESPACE],
    ["restores.velero.io", VELERO_NAMESPACE],
    ["downloadrequests.velero.io", VELERO_NAMESPACE],
    ["operations", "org-b"],
  ])("%s in %s are not shown", async (resource, namespace) => {
    const { stdout, stderr } = await shared.cluster.kubectl(["get", resource, "-n", namespace], {
      as: shared.users.ann,
    });
    expect(stdout).toBe("");
    expect(stderr).toContain("Forbidden");
  });
});

describe("a stolen token of a runner", () => {
  const accepted: Condition = {
    type: "Accepted",
    status: "True",
    reason: "TemplateValidated",
    message: "says the thief",
    lastTransitionTime: "2026-01-01T00:00:00Z",
  };

  /** Has the thief admit an Operation, once the dispatcher has said `reason` of it. */
  async function admit(account: keyof SharedCluster["accounts"], name: string, reason: string): Promise<unknown> {
    const object = await shared.until("org-a", name, ({ status }) =>
      (status?.conditions ?? []).some((condition) => condition.reason === reason),
    );
    const status: Status = { ...object.status, phase: "Pending", conditions: [accepted] };
    return await shared.as(account).replaceStatus(operations, { ...object, status });
  }

  test.each([
    ["was refused", "refused", { target: "nobody" }, {}, "TargetNotFound"],
    ["waits for an approval", "waiting", {}, { approvals: { required: true } }, "AwaitingApproval"],
  ])("does not admit an Operation that %s", async (_, name, request, spec, reason) => {
    const operation = backupOperation({ namespace: "org-a", name, ...request });
    const input = { ...operation, spec: { ...("spec" in operation && Object(operation.spec)), ...spec } };
    expect(await shared.create(input, shared.users.ann)).toMatchObject({ code: 0, stderr: "" });
    await expect(admit("backupRunner", name, reason)).rejects.toThrow(
      "only of an Operation that the dispatcher has admitted",
    );
  });

  test("does not tell how an Operation of the other type went", async () => {
    const operation = backupOperation({ namespace: "org-a", name: "admitted" });
    expect(await shared.create(operation, shared.users.ann)).toMatchObject({ code: 0, stderr: "" });
    await expect(admit("restoreRunner", "admitted", "TemplateValidated")).rejects.toThrow(
      "only of Operations of type Restore",
    );
    await expect(admit("backupRunner", "admitted", "TemplateValidated")).resolves.toBeDefined();
  });
});

describe("hostile text", () => {
  const mebibyte = "x".repeat(1024 * 1024);
  const deep = JSON.parse(`${'{"a":'.repeat(64)}1${"}".repeat(64)}`);
  const polluting = JSON.parse('{"__proto__": {"storageLocation": "team-b"}, "constructor": {"prototype": {}}}');

  test.each<[string, Record<string, unknown>]>([
    ["control characters", { storageLocation: "default\u0000\u001b[2J\r\nlevel=error" }],
    ["a line break and a forged log line", { csiSnapshotClassName: 'x"}\n{"level":"fatal","msg":"owned"}' }],
    ["a path for a name", { storageLocation: "../../secrets/cloud-credentials" }],
    ["a URL for a name", { storageLocation: "http://attacker.example/" }],
    ["an annotation in a name", { csiSnapshotClassName: "class\nvelero.io/other: x" }],
    ["a label selector in a list", { includedResources: ["configmaps,app=x"] }],
    ["five hundred resources", { excludedResources: Array.from({ length: 500 }, (_, at) => `r${at}`) }],
  ])("%s is refused in one short line", async (_, parameters) => {
    const why = await refusedAfterwards((name) => backupOperation({ namespace: "org-a", name, parameters }));
    expect(why).toMatch(/^ValidationFailed: spec\.parameters/);
    expect(why).not.toMatch(/\p{Cc}/u);
    expect(why.length).toBeLessThan(1024);
  });

  test.each<[string, Record<string, unknown>]>([
    ["a megabyte", { storageLocation: mebibyte }],
    ["a thousand resources", { excludedResources: Array.from({ length: 1000 }, (_, at) => `r${at}`) }],
    ["a thousand parameters", Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`p${at}`, at]))],
    ["a megabyte as the name of a parameter", { [mebibyte]: true }],
    ["keys of the prototype", polluting],
    ["deep objects", { hooks: deep }],
    ["Velero's own fields", { includedNamespaces: ["org-b"], hooks: { resources: [] }, includeClusterResources: true }],
  ])("%s is not stored", async (_, parameters) => {
    const operation = backupOperation({ namespace: "org-a", name: fresh(), parameters });
    const { code, stderr } = await shared.create(operation, shared.users.ann);
    expect(code).toBe(1);
    expect(stderr).toContain("spec.parameters");
    expect(stderr.length).toBeLessThan(4096);
  });

  test.each([
    ["a path", "../../velero/theirs"],
    ["a glob", "*"],
    ["a label", "b1,velero.io/backup-name=theirs"],
    ["another namespace", "org-b/nightly"],
  ])("%s for the name of the Backup is refused", async (_, backupName) => {
    const parameters = { backupName };
    const why = await refusedAfterwards((name) => restoreOperation({ namespace: "org-a", name, parameters }));
    expect(why).toMatch(/^ValidationFailed: spec\.parameters\.backupName/);
  });

  test.each([
    ["a glob", "org-*"],
    ["everything", "*"],
    ["a path", "../org-b"],
  ])("%s for a source namespace is nobody's to read", async (_, source) => {
    const parameters = { backupName: "b", namespaceMapping: { [source]: "org-a" } };
    const operation = restoreOperation({ namespace: "org-a", name: fresh(), parameters });
    const { stderr } = await shared.create(operation, shared.users.ann);
    // Two policies refuse it; which of them speaks is the API server's choice.
    expect(stderr).toMatch(/namespaceMapping: (must map literal names of namespaces|whoever restores from)/);
  });

  test("a target that is no name gets into no label", async () => {
    const target = "shop,app=x\n";
    const why = await refusedAfterwards((name) => backupOperation({ namespace: "org-a", name, target }));
    expect(why).toMatch(/^ValidationFailed: spec\.targetRef\.name/);
    expect(why).not.toMatch(/\p{Cc}/u);
  });

  test("and all of it leaves the dispatcher at work for others", async () => {
    await shared.target("org-b", "shop");
    await shared.create(backupOperation({ namespace: "org-b", name: "unharmed" }), shared.users.bob);
    await shared.until("org-b", "unharmed", ({ status }) => status?.runner?.jobName !== undefined);
  });
});
