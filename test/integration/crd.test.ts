import { beforeAll, describe, expect, it, test } from "vitest";
import { testCluster } from "../cluster/testCluster.ts";
import { waitFor } from "../scenario/platform.ts";

const cluster = testCluster();
const namespace = "crd-rules";

type Json = { [key: string]: unknown };
interface Request {
  name?: string;
  type?: string;
  engine?: string;
  parameters?: Json;
  targetRef?: Json;
  approvals?: Json;
}

const target = { apiVersion: "apps.vworkspace.io/v1alpha1", kind: "ApplicationInstance", name: "shop" };

function operation({ name = "op", ...spec }: Request): string {
  return JSON.stringify({
    apiVersion: "ops.vworkspace.io/v1alpha1",
    kind: "Operation",
    metadata: { name, namespace },
    spec: { targetRef: target, type: "Backup", engine: "velero", ...spec },
  });
}

function numbered(count: number): Json {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [`n${at}`, "x"]));
}

/** What `kubectl apply` answers; nothing is kept. */
async function dryRun(request: Request): Promise<{ code: number; stderr: string }> {
  return await cluster.kubectl(["create", "--dry-run=server", "-f", "-"], { input: operation(request) });
}

beforeAll(async () => {
  await cluster.apply("manifests/crds");
  await cluster.kubectl(["create", "namespace", namespace]);
  await waitFor(cluster, ["crd/operations.ops.vworkspace.io"], "condition=Established");
});

describe("what kubectl apply accepts", () => {
  it.each<[string, Request]>([
    ["a Backup without parameters", {}],
    ["a Backup with all of them", { parameters: { ttl: "720h", snapshotVolumes: true, includedResources: ["*"] } }],
    ["a compound ttl", { parameters: { ttl: "1h30m0.5s" } }],
    ["a Restore with the target missing", { type: "Restore", parameters: { backupName: "b1" } }],
    ["a name of 63 characters", { name: "n".repeat(63) }],
    [
      "another engine's Operation of any shape",
      {
        name: "n".repeat(80),
        type: "Upgrade",
        engine: "helm",
        targetRef: { apiVersion: "v1", kind: "Thing", name: "" },
        parameters: { targetVersion: "2", valuesPatch: { a: [1] }, ttl: "whenever", existingResourcePolicy: "all" },
      },
    ],
    [
      "texts, lists and maps of more than anybody needs",
      {
        parameters: {
          storageLocation: "x".repeat(1024),
          includedResources: Array.from({ length: 512 }, (_, at) => `r${at}`),
          ...numbered(200),
        },
        approvals: { claim: `vws1.${"x".repeat(8000)}` },
      },
    ],
    [
      "a megabyte of what another engine takes",
      { type: "Upgrade", engine: "helm", parameters: { values: { notes: "x".repeat(1_000_000) } } },
    ],
    ["a Restore by another engine", { type: "Restore", engine: "volsync", parameters: {} }],
  ])("%s", async (_, request) => {
    expect(await dryRun(request)).toMatchObject({ code: 0 });
  });
});

test("a mistake in a label selector reaches the check that tells of it", async () => {
  const labelSelector = {
    matchlabels: { app: "shop" },
    matchExpressions: [{ key: "app", operator: "In", value: "shop" }],
  };
  const answer = await cluster.kubectl(["create", "--dry-run=server", "-o", "json", "-f", "-"], {
    input: operation({ parameters: { labelSelector } }),
  });
  expect(JSON.parse(answer.stdout)).toMatchObject({ spec: { parameters: { labelSelector } } });
});

describe("what kubectl apply refuses, and why", () => {
  it.each<[string, Request, string]>([
    ["a name over 63 characters", { name: "n".repeat(64) }, "metadata.name: 63 characters at most"],
    ["a Restore without backupName", { type: "Restore", parameters: {} }, "spec.parameters.backupName: required"],
    ["a Restore without parameters", { type: "Restore" }, "spec.parameters.backupName: required"],
    [
      "an empty backupName",
      { type: "Restore", parameters: { backupName: "" } },
      "spec.parameters.backupName: required",
    ],
    ["a negative ttl", { parameters: { ttl: "-5m" } }, "spec.parameters.ttl: must be a Go duration"],
    ["a ttl of nothing", { parameters: { ttl: "0s" } }, "spec.parameters.ttl: must be a Go duration"],
    ["a ttl in days", { parameters: { ttl: "30d" } }, "spec.parameters.ttl: must be a Go duration"],
    ["a ttl that is a number", { parameters: { ttl: 72 } }, "spec.parameters.ttl"],
    [
      "an unknown policy",
      { type: "Restore", parameters: { backupName: "b", existingResourcePolicy: "replace" } },
      'existingResourcePolicy: must be "none" or "update"',
    ],
    ["a text without end", { parameters: { storageLocation: "x".repeat(1025) } }, "may not be more than 1024 bytes"],
    [
      "a list without end",
      { parameters: { includedResources: Array.from({ length: 513 }, (_, at) => `r${at}`) } },
      "must have at most 512 items",
    ],
    [
      "a map without end",
      { type: "Restore", parameters: { backupName: "b", namespaceMapping: numbered(513) } },
      "must have at most 512 items",
    ],
    ["parameters without end", { parameters: numbered(257) }, "must have at most 256 items"],
    ["a target without end", { targetRef: { ...target, name: "x".repeat(1025) } }, "may not be more than 1024 bytes"],
    ["a claim without end", { approvals: { claim: "x".repeat(8193) } }, "may not be more than 8192 bytes"],
    ["another kind of target", { targetRef: { ...target, kind: "Pod" } }, "must name an ApplicationInstance"],
    ["an unknown type", { type: "Bakup" }, 'Unsupported value: "Bakup"'],
    ["an unknown engine", { engine: "restic" }, 'Unsupported value: "restic"'],
  ])("%s", async (_, request, why) => {
    const answer = await dryRun(request);
    expect(answer.code).not.toBe(0);
    expect(answer.stderr).toContain(why);
  });
});

describe("what may change later", () => {
  /** Creates, then changes by a merge patch. */
  async function change(name: string, request: Request, patch: Json): Promise<{ code: number; stderr: string }> {
    const created = await cluster.kubectl(["create", "-f", "-"], { input: operation({ name, ...request }) });
    expect(created.stderr).toBe("");
    return await cluster.kubectl(["patch", "-n", namespace, "op", name, "--type=merge", "-p", JSON.stringify(patch)]);
  }

  it.each<[string, Request, Json]>([
    ["a parameter", { parameters: { ttl: "1h" } }, { spec: { parameters: { ttl: "2h" } } }],
    ["an undeclared parameter", { parameters: { note: "a" } }, { spec: { parameters: { note: "b" } } }],
    ["parameters that were not there", {}, { spec: { parameters: { ttl: "1h" } } }],
    ["the type", {}, { spec: { type: "Upgrade" } }],
    ["the engine", {}, { spec: { engine: "helm" } }],
    ["the target", {}, { spec: { targetRef: { name: "other" } } }],
    ["another Operation into one of ours", { engine: "helm" }, { spec: { engine: "velero" } }],
    ["the whole spec away", {}, { spec: null }],
  ])("not %s", async (what, request, patch) => {
    const answer = await change(`fixed-${what.toLowerCase().replaceAll(" ", "-")}`, request, patch);
    expect(answer.stderr).toContain("spec is immutable");
  });

  it("approvals can be given, but never made unnecessary", async () => {
    const approve = { spec: { approvals: { claim: "vws1.x.y", approvedBy: "ada" } } };
    expect(await change("approved", { approvals: { required: true } }, approve)).toMatchObject({ code: 0 });
    for (const required of [false, null]) {
      const waive = JSON.stringify({ spec: { approvals: { required } } });
      const answer = await cluster.kubectl(["patch", "-n", namespace, "op", "approved", "--type=merge", "-p", waive]);
      expect(answer.stderr).toContain("spec.approvals.required: once true it stays true");
    }
  });

  it("everything of an Operation that is not ours", async () => {
    const patch = { spec: { type: "Migration", parameters: { hookName: "b" } } };
    expect(await change("free", { type: "Upgrade", engine: "helm" }, patch)).toMatchObject({ code: 0 });
  });
});

describe("what upstream stored", () => {
  it("is neither refused nor pruned", async () => {
    const created = await cluster.kubectl(["create", "-f", "-"], { input: operation({ name: "old", engine: "helm" }) });
    expect(created.stderr).toBe("");
    const status = {
      phase: "Cancelled",
      engineRef: { kind: "Job", namespace: "a", name: "j" },
      logsRef: { kind: "Pod", name: "p", url: "https://logs.example/1" },
      outputs: { anything: { deep: [1, "a"] } },
      startedAt: "2026-05-28T10:00:00Z",
    };
    const patch = ["patch", "-n", namespace, "op", "old", "--subresource=status", "--type=merge", "-p"];
    expect(await cluster.kubectl([...patch, JSON.stringify({ status })])).toMatchObject({ code: 0 });
    const read = await cluster.kubectl(["get", "-n", namespace, "op", "old", "-o", "jsonpath={.status}"]);
    // Nobody had written anything of it yet.
    expect(JSON.parse(read.stdout)).toEqual({ observedGeneration: -1, ...status });
  });
});

describe("what kubectl get shows", () => {
  it("has the columns of the README, and the wide ones", async () => {
    const table = await cluster.kubectl(["get", "op", "-n", namespace]);
    expect(table.stdout.split("\n")[0]?.split(/\s{2,}/)).toEqual([
      "NAME",
      "TYPE",
      "TARGET",
      "PHASE",
      "PROGRESS",
      "AGE",
    ]);
    const wide = await cluster.kubectl(["get", "vworkspace", "-n", namespace, "-o", "wide"]);
    expect(wide.stdout.split("\n")[0]).toMatch(/ENGINE OBJECT\s+BACKUP\s+JOB\s+REASON\s+DURATION/);
  });
});
