import { beforeAll, describe, expect, it } from "vitest";
import { ownCluster } from "../cluster/testCluster.ts";
import { installApplication } from "../scenario/application.ts";
import { backupOperation, restoreOperation } from "../scenario/operations.ts";
import { awaitOperation, conditionsOf, messageOf, phaseIs, veleroObjectsOf } from "../scenario/outcome.ts";
import { installPlatform, waitFor } from "../scenario/platform.ts";

/** What Operations name of Kubernetes' kinds and objects, and what Velero makes of it. */

const cluster = await ownCluster();
const TEAM = "org-resources";

const until = (name: string, condition: string) => awaitOperation(cluster, TEAM, name, condition);

async function backup(name: string, parameters: Record<string, unknown>) {
  await cluster.apply([backupOperation({ namespace: TEAM, name, parameters })]);
  return await until(name, phaseIs("Succeeded"));
}

async function restore(name: string, parameters: { backupName: string } & Record<string, unknown>) {
  await cluster.apply([restoreOperation({ namespace: TEAM, name, parameters })]);
  return await until(name, phaseIs("Succeeded"));
}

beforeAll(async () => {
  await installPlatform(cluster, () => {});
  await installApplication(cluster, TEAM);
  await backup("whole", {});
});

describe("the names of resources", () => {
  it("lead nowhere: the backup is refused, with what may have been meant, and Velero is not asked", async () => {
    await cluster.apply([
      backupOperation({ namespace: TEAM, name: "typo", parameters: { includedResources: ["configmapz"] } }),
    ]);
    const operation = await until("typo", phaseIs("Failed"));
    expect(messageOf(operation, "Accepted")).toBe(
      'spec.parameters.includedResources.0: this cluster has no resource "configmapz"; did you mean configmaps?',
    );
    expect(await veleroObjectsOf(cluster, operation)).toEqual([]);
  });

  it("are taken as Velero takes them, and all mean the same", async () => {
    const counts: unknown[] = [];
    for (const [number, spelling] of ["configmaps", "ConfigMap", "cm", "CONFIGMAPS"].entries()) {
      const { status } = await backup(`spelling-${number}`, { includedResources: [spelling] });
      counts.push(status?.outputs?.backupItemCount);
    }
    expect(new Set(counts).size).toBe(1);
    expect(Number(counts[0])).toBeGreaterThan(0);
  });

  it("may be unknown to a restore, which then says so and that it did nothing", async () => {
    const operation = await restore("nothing-known", { backupName: "whole", includedResources: ["configmapz"] });
    expect(conditionsOf(operation)).toMatchObject({
      Succeeded: "True/VeleroRestoreCompleted",
      Degraded: "True/NothingRestored",
    });
    expect(messageOf(operation, "Degraded")).toContain("did you mean configmaps?");
  });

  it("may be newer than what Velero knows: that is told", async () => {
    await cluster.apply([gadgets]);
    await waitFor(cluster, ["crd/gadgets.example.org"], "condition=Established");
    await cluster.apply([{ apiVersion: "example.org/v1", kind: "Gadget", metadata: { name: "one", namespace: TEAM } }]);
    const operation = await backup("too-new", { includedResources: ["Gadget"] });
    expect(conditionsOf(operation).Degraded).toMatch(/NothingBackedUp|UnknownResources/);
    expect(operation.status?.outputs?.unknownResources).toEqual([
      expect.stringMatching(/^gadgets.example.org was new/),
    ]);
  });
});

const gadgets = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "gadgets.example.org" },
  spec: {
    group: "example.org",
    names: { kind: "Gadget", listKind: "GadgetList", plural: "gadgets", singular: "gadget" },
    scope: "Namespaced",
    versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
  },
};

describe("a label selector", () => {
  const labelSelector = { matchExpressions: [{ key: "app.kubernetes.io/name", operator: "In", values: ["shop"] }] };

  it("chooses what is backed up, and what is restored", async () => {
    const chosen = await backup("chosen", { labelSelector, includedResources: ["configmaps"] });
    // The two of the application, not the one with the cluster's certificate.
    expect(chosen.status?.outputs?.backupItemCount).toBe("2");
    await cluster.kubectl(["delete", "configmaps,secrets", "-n", TEAM, "-l", "app.kubernetes.io/name=shop"]);
    const restored = await restore("chosen-again", {
      backupName: "whole",
      includedResources: ["configmaps"],
      labelSelector,
    });
    expect(conditionsOf(restored)).toMatchObject({ Succeeded: "True/VeleroRestoreCompleted" });
    const { stdout } = await cluster.kubectl(["get", "configmaps,secrets", "-n", TEAM, "-o", "name"]);
    expect(stdout.split("\n")).toEqual(expect.arrayContaining(["configmap/shop-settings", "configmap/shop-texts"]));
    expect(stdout).not.toContain("secret/shop-token");
  });

  it("that nothing matches makes a backup of the namespace and nothing in it, which says so", async () => {
    const operation = await backup("empty", { labelSelector: { matchLabels: { app: "none" } } });
    expect(conditionsOf(operation)).toMatchObject({
      Succeeded: "True/VeleroBackupCompleted",
      Degraded: "True/NothingBackedUp",
    });
  });
});

it("passes the timeouts on, and leaves to Velero's server what was not said", async () => {
  const operation = await backup("timed", { itemOperationTimeout: "2h", csiSnapshotTimeout: "9m" });
  const [object] = await veleroObjectsOf(cluster, operation);
  expect(object).toMatchObject({ spec: { itemOperationTimeout: "2h", csiSnapshotTimeout: "9m" } });
});

it("passes preserveNodePorts on to a restore", async () => {
  const operation = await restore("ports", {
    backupName: "whole",
    preserveNodePorts: true,
    itemOperationTimeout: "3h",
  });
  const objects = await veleroObjectsOf(cluster, operation);
  expect(objects).toEqual([
    expect.objectContaining({
      spec: expect.objectContaining({ preserveNodePorts: true, itemOperationTimeout: "3h" }),
    }),
  ]);
});
