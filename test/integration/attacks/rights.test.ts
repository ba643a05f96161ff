import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { RIGHTS_POLICY } from "../../../src/api/crossNamespace.ts";
import { restoreOperation } from "../../scenario/operations.ts";
import { CLUSTER_ID, SharedCluster } from "./sharedCluster.ts";

// Ann had the right to restore from org-b, has prepared Restores while she had it, and has lost it.
let shared: SharedCluster;

const PATIENCE = { timeout: 60_000, interval: 200 };
const MAPPING: { backupName: string; namespaceMapping: Record<string, string> } = {
  backupName: "b",
  namespaceMapping: { "org-b": "org-a" },
};
const RERUN = "ops.vworkspace.io/rerun";
const CANCEL = "ops.vworkspace.io/cancel";
const REFUSED = "whoever restores from org-b must be allowed to create Operations there";
/** Held back by something that Ann may change. */
const HELD = { "app.vworkspace.io/cluster-id": "elsewhere" };

beforeAll(async () => {
  shared = await SharedCluster.open();
  const grant = ["create", "rolebinding", "ann", "-n", "org-b", "--clusterrole=edit", "--user=ann"];
  expect(await shared.cluster.kubectl(grant)).toMatchObject({ code: 0 });
  await vi.waitFor(async () => expect(await makes("held")).toMatchObject({ code: 0 }), PATIENCE);
  await shared.until("org-a", "held", ({ status }) => status?.request !== undefined);
  expect(await makes("failed", { ...MAPPING, backupName: "none" }, {})).toMatchObject({
    code: 0,
  });
  expect(await shared.carryOut("org-a", "failed")).toBe(2);
  await shared.cluster.kubectl(["delete", "rolebinding", "ann", "-n", "org-b"]);
  await vi.waitFor(async () => expect((await makes("probe")).stderr).toContain(REFUSED), PATIENCE);
});
afterAll(() => shared?.close());

async function makes(name: string, parameters: typeof MAPPING = MAPPING, labels: object = HELD) {
  const operation = restoreOperation({ namespace: "org-a", name, parameters });
  return await shared.create({ ...operation, metadata: { ...operation.metadata, labels } }, shared.users.ann);
}

async function patches(name: string, body: object) {
  const args = ["patch", `operation/${name}`, "-n", "org-a", "--type=merge", "-p", JSON.stringify(body)];
  return await shared.cluster.kubectl(args, { as: shared.users.ann });
}

describe("who has lost the right", () => {
  test.each<[string, object]>([
    ["remove the label that holds it back", { metadata: { labels: { "app.vworkspace.io/cluster-id": null } } }],
    ["set it right", { metadata: { labels: { "app.vworkspace.io/cluster-id": CLUSTER_ID } } }],
    ["add another label", { metadata: { labels: { "app.vworkspace.io/managed-by": "control-plane" } } }],
    ["approve it", { spec: { approvals: { claim: "vws1.x.y" } } }],
    ["ask that it runs", { metadata: { annotations: { [RERUN]: "1" } } }],
    ["ask with an empty word", { metadata: { annotations: { [RERUN]: "" } } }],
    ["say an empty word to us", { metadata: { annotations: { "ops.vworkspace.io/anything": "" } } }],
    ["cancel with an empty word", { metadata: { annotations: { [CANCEL]: "" } } }],
    ["ask for an approval", { spec: { approvals: { required: true } } }],
    ["say any other word to us", { metadata: { annotations: { "ops.vworkspace.io/anything": "1" } } }],
  ])("cannot %s", async (_, body) => {
    expect((await patches("held", body)).stderr).toContain(REFUSED);
  });

  test("cannot run again what failed", async () => {
    expect((await patches("failed", { metadata: { annotations: { [RERUN]: "again" } } })).stderr).toContain(REFUSED);
  });

  test("cannot cancel and take it back, but can cancel, note something, and delete", async () => {
    const note = { metadata: { annotations: { "example.com/note": "x" } } };
    expect(await patches("held", note)).toMatchObject({ code: 0 });
    expect((await patches("held", { metadata: { annotations: { [CANCEL]: "false" } } })).stderr).toContain(REFUSED);
    expect(await patches("held", { metadata: { annotations: { [CANCEL]: "true" } } })).toMatchObject({ code: 0 });
    await shared.until("org-a", "held", ({ status }) => status?.phase === "Failed");
    expect((await patches("held", { metadata: { annotations: { [CANCEL]: null } } })).stderr).toContain(REFUSED);
    const remove = ["delete", "operation/held", "-n", "org-a"];
    expect(await shared.cluster.kubectl(remove, { as: shared.users.ann })).toMatchObject({ code: 0 });
  });

  test("cannot add what she restores later", async () => {
    const bare = {
      apiVersion: "ops.vworkspace.io/v1alpha1",
      kind: "Operation",
      metadata: { name: "bare", namespace: "org-a" },
    };
    expect(await shared.create(bare, shared.users.ann)).toMatchObject({ code: 0 });
    const spec = restoreOperation({ namespace: "org-a", name: "bare", parameters: MAPPING }).spec;
    expect((await patches("bare", { spec: Object(spec) })).stderr).toMatch(
      /spec is immutable|must be allowed to create/,
    );
  });

  test("who has the right runs again what failed", async () => {
    const args = ["annotate", "operation/failed", "-n", "org-a", `${RERUN}=by-an-admin`];
    expect(await shared.cluster.kubectl(args)).toMatchObject({ code: 0 });
    const { status } = await shared.until("org-a", "failed", (operation) => operation.status?.runner?.attempt === 2);
    expect(status?.observedRerun).toBe("by-an-admin");
  });
});

test("without the policy such a Restore waits, and one from that time is refused once the policy is back", async () => {
  const binding = ["validatingadmissionpolicybinding", RIGHTS_POLICY];
  expect(await shared.cluster.kubectl(["delete", ...binding])).toMatchObject({ code: 0 });
  const name = `unasked-${Date.now()}`;
  await expect.poll(() => makes(name, MAPPING, {}), { timeout: 60_000 }).toMatchObject({ code: 0 });
  expect(await shared.refusal("org-a", name)).toContain("PolicyMissing");
  await shared.cluster.apply("manifests/policies");
  await shared.until("org-a", name, ({ status }) => status?.phase === "Failed");
  expect(await shared.refusal("org-a", name)).toMatch(/^AuthorizationExpired: it was asked for before the policy/);
});
