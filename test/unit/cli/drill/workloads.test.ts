import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../../../src/cli/drill/archive.ts";
import { notReady, reachingOut } from "../../../../src/cli/drill/workloads.ts";

function deployment(content: Record<string, unknown>): JsonObject {
  return { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web", generation: 2 }, ...content };
}

function archived(podSpec: Record<string, unknown>) {
  const spec = { template: { spec: { containers: [{ name: "web" }], ...podSpec } } };
  return { resource: "deployments.apps", kind: "apps/v1/Deployment", name: "web", content: deployment({ spec }) };
}

describe("a workload may run a second time", () => {
  test("with what is its own, and read-only configuration", () => {
    const volumes = [
      { name: "a", configMap: { name: "settings" } },
      { name: "b", secret: { secretName: "token" } },
      { name: "c", emptyDir: {} },
      { name: "d", projected: {} },
    ];
    expect(reachingOut([archived({ volumes })])).toEqual([]);
  });

  test.each([
    [{ hostNetwork: true }, "hostNetwork"],
    [{ hostPID: true }, "hostPID"],
    [{ hostIPC: true }, "hostIPC"],
    [{ containers: [{ name: "web", ports: [{ hostPort: 80 }] }] }, "hostPort"],
    [{ initContainers: [{ name: "init", ports: [{ hostPort: 80 }] }] }, "hostPort"],
    [{ containers: [{ name: "web", securityContext: { privileged: true } }] }, "a privileged container"],
    [{ initContainers: [{ name: "init", securityContext: { privileged: true } }] }, "a privileged container"],
    [{ volumes: [{ name: "data", hostPath: { path: "/var" } }] }, "a volume of kind hostPath"],
    [{ volumes: [{ name: "data", nfs: { server: "files" } }] }, "a volume of kind nfs"],
    [
      { volumes: [{ name: "data", persistentVolumeClaim: { claimName: "data" } }] },
      "a volume of kind persistentVolumeClaim",
    ],
    [{ volumes: [{ name: "data", csi: { driver: "secrets" } }] }, "a volume of kind csi"],
  ])("but not with %j", (podSpec, what) => {
    expect(reachingOut([archived(podSpec)])).toEqual([`deployments.apps/web uses ${what}`]);
  });

  test("but not where its pods cannot be seen", () => {
    const content = deployment({ spec: "none" });
    expect(reachingOut([{ ...archived({}), content }])).toEqual([
      "deployments.apps/web has no pod template that can be read",
    ]);
  });

  test("and what makes no pods is not asked", () => {
    const content = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "web" } };
    expect(reachingOut([{ resource: "configmaps", kind: "v1/ConfigMap", name: "web", content }])).toEqual([]);
  });
});

describe("a workload is ready", () => {
  test.each([
    ["with all its pods", { spec: { replicas: 2 }, status: { observedGeneration: 2, availableReplicas: 2 } }, []],
    ["where it is to have none", { spec: { replicas: 0 }, status: { observedGeneration: 2 } }, []],
    ["not before its controller has seen it", { spec: { replicas: 0 }, status: {} }, ["0 of 0"]],
    [
      "not with one of two",
      { spec: { replicas: 2 }, status: { observedGeneration: 2, availableReplicas: 1 } },
      ["1 of 2"],
    ],
    ["not with a status that cannot be read", { spec: { replicas: 1 }, status: "ready" }, ["0 of 1"]],
  ])("%s", (_, content, left) => {
    const objects = new Map([["deployments.apps/web", deployment(content)]]);
    expect(notReady(objects)).toEqual(left.map((count) => `deployments.apps/web is not ready: ${count} pods`));
  });

  test("a DaemonSet on all nodes that it is for", () => {
    const status = { observedGeneration: 2, desiredNumberScheduled: 3, numberReady: 2 };
    const objects = new Map([["daemonsets.apps/web", { ...deployment({ status }), kind: "DaemonSet" }]]);
    expect(notReady(objects)).toEqual(["daemonsets.apps/web is not ready: 2 of 3 pods"]);
  });
});
