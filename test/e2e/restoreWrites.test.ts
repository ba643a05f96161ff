import { beforeAll, describe, expect, it } from "vitest";
import type { Operation } from "../../src/api/operation.ts";
import { lacks, ownCluster } from "../cluster/testCluster.ts";
import { installApplication } from "../scenario/application.ts";
import { backupOperation, listObjects, restoreOperation } from "../scenario/operations.ts";
import { awaitOperation, phaseIs } from "../scenario/outcome.ts";
import { installPlatform } from "../scenario/platform.ts";

/** Velero writes what it restores as cluster admin. What a tenant's own rights do not let them write must not come back. */

const cluster = await ownCluster();
const TEAM = "org-bounded";

const named = (apiVersion: string, kind: string, name: string, rest: object) => ({
  apiVersion,
  kind,
  metadata: { name, namespace: TEAM },
  ...rest,
});
const quota = (configMaps: string) =>
  named("v1", "ResourceQuota", "team", { spec: { hard: { "count/configmaps": configMaps } } });
const rbac = "rbac.authorization.k8s.io";
const bindingOf = (user: string, role: string) =>
  named(`${rbac}/v1`, "RoleBinding", `${user}-${role}`, {
    roleRef: { apiGroup: rbac, kind: "ClusterRole", name: role },
    subjects: [{ apiGroup: rbac, kind: "User", name: user }],
  });
const limits = { limits: [{ type: "Container", max: { cpu: "64" } }] };
const elsewhere = { endpoints: [{ addresses: ["10.1.2.3"] }], ports: [{ port: 443, protocol: "TCP" }] };

describe.skipIf(lacks(cluster, "users"))("a Restore by a tenant who may edit the namespace", () => {
  let tenant: string;
  let restored: Operation;

  beforeAll(async () => {
    await installPlatform(cluster, () => {});
    await installApplication(cluster, TEAM);
    tenant = await cluster.user("ann");
    await cluster.apply([
      bindingOf("ann", "edit"),
      bindingOf("eve", "admin"),
      quota("100"),
      named("v1", "LimitRange", "team", { spec: limits }),
      named("v1", "Service", "billing", { spec: { ports: [{ port: 443 }] } }),
      named("v1", "Endpoints", "billing", {
        subsets: [{ addresses: [{ ip: "10.1.2.3" }], ports: [{ port: 443 }] }],
      }),
      named("discovery.k8s.io/v1", "EndpointSlice", "billing-by-hand", { addressType: "IPv4", ...elsewhere }),
    ]);
    await asTenant(backupOperation({ namespace: TEAM, name: "before" }));
    await awaitOperation(cluster, TEAM, "before", phaseIs("Succeeded"));
    // The admin thinks better of it.
    await cluster.apply([quota("20")]);
    for (const object of ["limitrange/team", "endpoints/billing", "endpointslice/billing-by-hand"])
      await remove(object);
    for (const object of ["service/billing", "rolebinding/eve-admin", "configmap/shop-texts"]) await remove(object);

    const parameters = { backupName: "before", existingResourcePolicy: "update" };
    await asTenant(restoreOperation({ namespace: TEAM, name: "after", parameters }));
    restored = await awaitOperation(cluster, TEAM, "after", phaseIs("Succeeded"));
  });

  it("does not bring back a quota that was lowered, nor limits that were lifted", async () => {
    const hard = ["get", "resourcequota/team", "-n", TEAM, "-o", "jsonpath={.spec.hard}"];
    expect((await cluster.kubectl(hard)).stdout).toBe('{"count/configmaps":"20"}');
    expect(await names("limitranges")).toEqual([]);
  });

  it("does not lead the namespace's Services to addresses of its choice", async () => {
    expect(await names("endpoints")).not.toContain("billing");
    expect(await names("endpointslices.discovery.k8s.io")).not.toContain("billing-by-hand");
  });

  it("brings back all that the application is made of", async () => {
    expect(await names("configmaps")).toContain("shop-texts");
    expect(await names("services")).toContain("billing");
    // Rights are part of an application; where that is too much, a setting leaves them out.
    expect(await names("rolebindings")).toContain("eve-admin");
  });

  it("says what it left out", () => {
    expect(restored.status?.outputs?.excludedResources).toEqual([
      "operations.ops.vworkspace.io",
      "resourcequotas",
      "limitranges",
      "endpoints",
      "endpointslices.discovery.k8s.io",
    ]);
  });

  it("does not pretend to bring back what was asked for by name", async () => {
    const parameters = { backupName: "before", includedResources: ["quota"] };
    await asTenant(restoreOperation({ namespace: TEAM, name: "quota-only", parameters }));
    const { status } = await awaitOperation(cluster, TEAM, "quota-only", phaseIs("Failed"));
    expect(status).toMatchObject({ reason: "ValidationFailed" });
  });

  async function asTenant(object: object): Promise<void> {
    const { code, stderr } = await cluster.kubectl(["create", "-f", "-"], {
      as: tenant,
      input: JSON.stringify(object),
    });
    if (code !== 0) throw new Error(stderr);
  }
});

async function remove(object: string): Promise<void> {
  const { code, stderr } = await cluster.kubectl(["delete", object, "-n", TEAM]);
  if (code !== 0) throw new Error(stderr);
}

async function names(kind: string): Promise<string[]> {
  return (await listObjects(cluster, [kind, "-n", TEAM])).map(({ metadata }) => metadata.name);
}
