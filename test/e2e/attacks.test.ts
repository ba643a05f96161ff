import { beforeAll, describe, expect, it, vi } from "vitest";
import { APPLICATION_IMAGE } from "../cluster/images/images.ts";
import { lacks, ownCluster } from "../cluster/testCluster.ts";
import { nfsVolume } from "../csi/volumes.ts";
import { installApplication } from "../scenario/application.ts";
import { backupOperation, restoreOperation } from "../scenario/operations.ts";
import { awaitOperation, conditionsOf, phaseIs } from "../scenario/outcome.ts";
import { installPlatform, waitFor } from "../scenario/platform.ts";

// Ann, who may edit org-a, has Velero do with its rights what she has none for. Each test is one attempt.
const cluster = await ownCluster();
const MINE = "org-a";
const THEIRS = "org-b";

/** For what can be waited for by looking only. */
const PATIENCE_MS = 60_000;

describe.skipIf(lacks(cluster, "users", "run-pods"))("a tenant and real Velero", () => {
  let ann: string;

  beforeAll(async () => {
    await installPlatform(cluster, () => {});
    await installApplication(cluster, MINE);
    await cluster.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: THEIRS } }]);
    ann = await cluster.user("ann");
    await admin("create", "rolebinding", "team", "-n", MINE, "--clusterrole=edit", "--user=ann");
    const may = ["auth", "can-i", "create", "operations.ops.vworkspace.io", "-n", MINE];
    await vi.waitFor(
      async () => expect(await cluster.kubectl(may, { as: ann })).toMatchObject({ code: 0 }),
      PATIENCE_MS,
    );
  });

  async function admin(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await cluster.kubectl(args);
    expect(code, stderr).toBe(0);
    return stdout;
  }

  async function asAnn(args: string[], input?: object): Promise<void> {
    const options = { as: ann, ...(input && { input: JSON.stringify(input) }) };
    const { code, stderr } = await cluster.kubectl(args, options);
    expect(code, stderr).toBe(0);
  }

  it("does not get back a volume that was recycled for another team, and is told so", async () => {
    const volume = `${MINE}-data`;
    await cluster.apply(nfsVolume(MINE, "data"));
    await waitFor(cluster, ["pvc/data", "-n", MINE], "jsonpath={.status.phase}=Bound");
    await asAnn(["create", "-f", "-"], backupOperation({ namespace: MINE, name: "keep" }));
    await awaitOperation(cluster, MINE, "keep", phaseIs("Succeeded"));

    await asAnn(["delete", "pvc/data", "-n", MINE]);
    await waitFor(cluster, [`pv/${volume}`], "jsonpath={.status.phase}=Released");
    // The administrator wipes the disk and gives it to the next team.
    const [, claim] = nfsVolume(THEIRS, "theirs");
    const given = { ...claim, spec: { ...(claim && "spec" in claim && Object(claim.spec)), volumeName: volume } };
    await admin("patch", `pv/${volume}`, "--type=merge", "-p", '{"spec":{"claimRef":null}}');
    await cluster.apply([given]);
    await waitFor(cluster, ["pvc/theirs", "-n", THEIRS], "jsonpath={.status.phase}=Bound");

    const parameters = { backupName: "keep", existingResourcePolicy: "update" };
    await asAnn(["create", "-f", "-"], restoreOperation({ namespace: MINE, name: "take", parameters }));
    const { status } = await awaitOperation(cluster, MINE, "take", phaseIs("Succeeded"));

    expect(await admin("get", `pv/${volume}`, "-o", "jsonpath={.spec.claimRef.namespace}/{.spec.claimRef.name}")).toBe(
      `${THEIRS}/theirs`,
    );
    expect(await admin("get", "pvc/theirs", "-n", THEIRS, "-o", "jsonpath={.status.phase}")).toBe("Bound");
    expect(status?.outputs?.warnings).toContainEqual(
      expect.stringContaining(`PersistentVolume ${volume} was given to another namespace`),
    );
  });

  it("does not bring commands for Velero back by a restore of an older backup", async () => {
    const hook = "post.hook.restore.velero.io/command";
    const hooked = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "hooked", namespace: MINE, annotations: { [hook]: '["sleep","1h"]' } },
      spec: { containers: [{ name: "app", image: APPLICATION_IMAGE }] },
    };
    await asAnn(["create", "-f", "-"], hooked);
    await waitFor(cluster, ["pod/hooked", "-n", MINE], "condition=Ready");
    await asAnn(["create", "-f", "-"], backupOperation({ namespace: MINE, name: "before" }));
    await awaitOperation(cluster, MINE, "before", phaseIs("Succeeded"));

    await cluster.apply("manifests/components/no-velero-hooks");
    const again = ["create", "--dry-run=server", "-f", "-"];
    const refusal = "Velero would run a command in this pod";
    await asAnn(["delete", "pod/hooked", "-n", MINE]);
    await vi.waitFor(async () => {
      const { stderr } = await cluster.kubectl(again, { as: ann, input: JSON.stringify(hooked) });
      expect(stderr).toContain(refusal);
    }, PATIENCE_MS);
    const parameters = { backupName: "before" };
    await asAnn(["create", "-f", "-"], restoreOperation({ namespace: MINE, name: "after", parameters }));
    const restored = await awaitOperation(cluster, MINE, "after", phaseIs("Succeeded"));

    expect((await cluster.kubectl(["get", "pod/hooked", "-n", MINE])).stderr).toContain("NotFound");
    expect(conditionsOf(restored)).toMatchObject({ Degraded: "True/PartialFailure" });
    expect(restored.status?.outputs?.warnings).toContainEqual(
      expect.stringMatching(new RegExp(`^error: ${MINE}: .*${refusal}: ${hook}`)),
    );
  });
});
