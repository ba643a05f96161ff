import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { backupOperation, restoreOperation } from "../../scenario/operations.ts";
import { VELERO_NAMESPACE } from "../../scenario/platform.ts";
import { SharedCluster } from "./sharedCluster.ts";

// Ann, who may edit org-a, tries to get at what is org-b's. Each test is one attempt.
let shared: SharedCluster;

beforeAll(async () => {
  shared = await SharedCluster.open();
  await shared.target("org-a", "shop");
  await shared.target("org-b", "shop");
});
afterAll(() => shared?.close());

let count = 0;
const fresh = () => `attack-${++count}`;
const completed = { phase: "Completed" };

/** Ann creates a Restore, the dispatcher admits it, its runner looks closer; returns why it came to nothing. */
async function restoreForbidden(parameters: { backupName: string; namespaceMapping?: Record<string, string> }) {
  const name = fresh();
  const operation = restoreOperation({ namespace: "org-a", name, parameters });
  expect(await shared.create(operation, shared.users.ann)).toMatchObject({ code: 0, stderr: "" });
  expect(await shared.carryOut("org-a", name)).toBe(2);
  expect(await shared.velero.all("Restore")).toEqual([]);
  return (await shared.refusal("org-a", name)).replaceAll(parameters.backupName, "<backup>");
}

describe("restoring what is not theirs", () => {
  /** What a Backup that does not exist is refused with: the others must tell Ann no more than that. */
  const noSuchBackup = () => restoreForbidden({ backupName: "nothing-of-that-name" });

  test.each([
    ["another team's backup", { spec: { includedNamespaces: ["org-b"] } }],
    ["a backup of both teams", { spec: { includedNamespaces: ["org-a", "org-b"] } }],
    ["a backup of a glob that fits both", { spec: { includedNamespaces: ["org-*"] } }],
    ["a backup of everything", { spec: { includedNamespaces: ["*"] } }],
    ["a backup that names no namespace", { spec: { includedNamespaces: [] } }],
    [
      "another cluster's backup of a namespace that has the same name",
      { spec: { includedNamespaces: ["org-a"] }, labels: { "app.vworkspace.io/cluster-id": "elsewhere" } },
    ],
  ])("%s is refused like one that does not exist", async (_, backup) => {
    const backupName = `source-${fresh()}`;
    await shared.velero.make("Backup", backupName, { ...backup, status: completed });

    const why = await restoreForbidden({ backupName });

    expect(why).toMatch(/^RestoreForbidden: Backup <backup> cannot be restored into org-a/);
    expect(why).not.toContain("org-b");
    expect(why).toBe(await noSuchBackup());
  });

  test("by namespaceMapping from another's namespace is refused at once, and names the right that is missing", async () => {
    const parameters = { backupName: "b", namespaceMapping: { "org-b": "org-a" } };
    const { code, stderr } = await shared.create(
      restoreOperation({ namespace: "org-a", name: fresh(), parameters }),
      shared.users.ann,
    );
    expect(code).not.toBe(0);
    expect(stderr).toContain("whoever restores from org-b must be allowed to create Operations there");
  });

  test("one right among several namespaces is not enough, whichever it is", async () => {
    const grant = (namespace: string) => ["create", "rolebinding", "ann", "-n", namespace, "--clusterrole=edit"];
    const sources = ["org-c", "org-d", "org-e"];
    for (const namespace of sources) {
      await shared.cluster.kubectl(["create", "namespace", namespace]);
      await shared.cluster.kubectl([...grant(namespace), "--user=ann"]);
    }
    const restore = (from: string[]) => {
      const namespaceMapping = Object.fromEntries(from.map((source) => [source, "org-a"]));
      const operation = restoreOperation({
        namespace: "org-a",
        name: "several",
        parameters: { backupName: "b", namespaceMapping },
      });
      const input = JSON.stringify(operation);
      return shared.cluster.kubectl(["create", "--dry-run=server", "-f", "-"], { as: shared.users.ann, input });
    };
    await expect.poll(() => restore(sources), { timeout: 60_000 }).toMatchObject({ code: 0 });
    // The API server goes through a map in another order each time.
    for (let round = 0; round < 8; round += 1) {
      expect((await restore([...sources, "org-b"])).stderr).toContain("must be allowed to create Operations there");
    }
    expect((await restore([...sources, "org-f", "org-g"])).stderr).toContain("at most 4 other namespaces");
  });

  test("onto another's namespace is refused at once", async () => {
    const parameters = { backupName: "b", namespaceMapping: { "org-a": "org-b" } };
    const { stderr } = await shared.create(
      restoreOperation({ namespace: "org-a", name: fresh(), parameters }),
      shared.users.ann,
    );
    expect(stderr).toContain("must map every namespace to org-a, the namespace of the Operation");
  });

  test("the rule binds nobody else's Operations", async () => {
    const restore = restoreOperation({
      namespace: "org-a",
      name: fresh(),
      parameters: { backupName: "b", namespaceMapping: { "org-b": "anywhere" } },
    });
    const spec = { ...("spec" in restore && Object(restore.spec)), engine: "volsync" };
    expect(await shared.create({ ...restore, spec }, shared.users.ann)).toMatchObject({ code: 0, stderr: "" });
  });

  test("who has the right in both namespaces may: nothing here forbids what is meant to be", async () => {
    await shared.cluster.kubectl(["create", "rolebinding", "bob", "-n", "org-a", "--clusterrole=edit", "--user=bob"]);
    await shared.velero.make("Backup", "of-b", { spec: { includedNamespaces: ["org-b"] }, status: completed });
    const parameters = { backupName: "of-b", namespaceMapping: { "org-b": "org-a" } };
    const operation = restoreOperation({ namespace: "org-a", name: "from-b", parameters });
    await expect.poll(() => shared.create(operation, shared.users.bob), { timeout: 60_000 }).toMatchObject({ code: 0 });
    const ended = shared.carryOut("org-a", "from-b");
    expect(await shared.velero.created("Restore", "from-b")).toMatchObject({
      spec: { includedNamespaces: ["org-b"], namespaceMapping: { "org-b": "org-a" } },
    });
    await shared.velero.setStatus("Restore", "from-b", completed);
    expect(await ended).toBe(0);
    await shared.velero.delete("Restore", "from-b");
  });
});

describe("names that are taken", () => {
  test("an Operation named like another team's touches neither its backup nor its Job, not even by a cancel", async () => {
    for (const [namespace, as] of [
      ["org-b", shared.users.bob],
      ["org-a", shared.users.ann],
    ] as const) {
      expect(await shared.create(backupOperation({ namespace, name: "nightly" }), as)).toMatchObject({ code: 0 });
      if (namespace === "org-b") await shared.until(namespace, "nightly", ({ status }) => status?.runner !== undefined);
    }
    const bobs = shared.carryOut("org-b", "nightly");
    const theirs = await shared.velero.created("Backup", "nightly");
    await shared.velero.setStatus("Backup", "nightly", { phase: "InProgress" });

    const anns = shared.carryOut("org-a", "nightly");
    const { status } = await shared.until("org-a", "nightly", (operation) => !!operation.status?.engineRef?.uid);
    expect(status?.engineRef?.name).toMatch(/^nightly-[0-9a-f]{8}$/);
    const cancel = ["annotate", "operation/nightly", "-n", "org-a", "ops.vworkspace.io/cancel=true"];
    await shared.cluster.kubectl(cancel, { as: shared.users.ann });
    expect(await anns).toBe(2);

    await shared.velero.setStatus("Backup", "nightly", completed);
    expect(await bobs).toBe(0);
    expect((await shared.velero.created("Backup", "nightly")).metadata.uid).toBe(theirs.metadata.uid);
    const names = (await shared.velero.all("Backup")).map(({ metadata }) => metadata.name);
    expect(names).not.toContain(status?.engineRef?.name);
    expect(await restoreForbidden({ backupName: "backup/nightly" })).toContain("cannot be restored into org-a");
    // Her own of that name made none: that there is another team's is not told.
    expect(await restoreForbidden({ backupName: "nightly" })).toContain("has not succeeded (Failed, CancelledByUser)");
  });

  test("a name that two teams use is each team's own, to restore as well", async () => {
    const made: (string | undefined)[] = [];
    for (const [namespace, as] of [
      ["org-b", shared.users.bob],
      ["org-a", shared.users.ann],
    ] as const) {
      await shared.create(backupOperation({ namespace, name: "daily" }), as);
      const ended = shared.carryOut(namespace, "daily");
      const { status } = await shared.until(namespace, "daily", (operation) => !!operation.status?.engineRef?.uid);
      made.push(status?.engineRef?.name);
      await shared.velero.setStatus("Backup", status?.engineRef?.name ?? "", completed);
      expect(await ended).toBe(0);
    }
    expect(made).toEqual(["daily", expect.stringMatching(/^daily-[0-9a-f]{8}$/)]);

    const restore = restoreOperation({ namespace: "org-a", name: "from-daily", parameters: { backupName: "daily" } });
    expect(await shared.create(restore, shared.users.ann)).toMatchObject({ code: 0, stderr: "" });
    const ended = shared.carryOut("org-a", "from-daily");
    expect(await shared.velero.created("Restore", "from-daily")).toMatchObject({ spec: { backupName: made[1] } });
    await shared.velero.setStatus("Restore", "from-daily", completed);
    expect(await ended).toBe(0);
    await shared.velero.delete("Restore", "from-daily");

    // Whoever else's it is, and however it is named: as if there were none.
    const absent = await restoreForbidden({ backupName: "nothing-of-that-name" });
    expect(await restoreForbidden({ backupName: "backup/daily" })).toBe(absent);
    expect(await restoreForbidden({ backupName: "operation/org-b/daily" })).toBe(absent);
  });

  test("a Backup that a person made keeps its name and stays as it is", async () => {
    const precious = await shared.velero.make("Backup", "precious", { spec: { includedNamespaces: ["org-b"] } });
    await shared.create(backupOperation({ namespace: "org-a", name: "precious" }), shared.users.ann);
    const ended = shared.carryOut("org-a", "precious");
    await shared.until("org-a", "precious", ({ status }) => !!status?.engineRef?.uid);
    await shared.cluster.kubectl(["delete", "operation/precious", "-n", "org-a", "--wait=false"], {
      as: shared.users.ann,
    });
    expect(await ended).toBe(0);
    expect(await shared.velero.created("Backup", "precious")).toEqual(precious);
  });

  test("labels forged on a Backup do not have it cancelled", async () => {
    await shared.create(backupOperation({ namespace: "org-a", name: "forger" }), shared.users.ann);
    const ended = shared.carryOut("org-a", "forger");
    const own = await shared.velero.created("Backup", "forger");
    await shared.until("org-a", "forger", ({ status }) => !!status?.engineRef?.uid);
    const { labels = {} } = own.metadata;
    const forged = await shared.velero.make("Backup", "forged", { labels, spec: { includedNamespaces: ["org-b"] } });
    const cancel = ["annotate", "operation/forger", "-n", "org-a", "ops.vworkspace.io/cancel=true"];
    await shared.cluster.kubectl(cancel, { as: shared.users.ann });
    expect(await ended).toBe(2);
    expect(await shared.velero.created("Backup", "forged")).toEqual(forged);
    // And nobody but an administrator of Velero can put labels there.
    const label = ["label", "backup/forged", "-n", VELERO_NAMESPACE, "ops.vworkspace.io/attempt=2", "--overwrite"];
    expect((await shared.cluster.kubectl(label, { as: shared.users.ann })).stderr).toContain("Forbidden");
  });
});
