import { afterAll, beforeAll, expect, test } from "vitest";
import { VELERO_NAMESPACE } from "../../scenario/platform.ts";
import { SharedCluster } from "./sharedCluster.ts";

// What Velero's account may do to a PersistentVolume, whatever a restore asks of it. What comes of such a restore is shown on
// real Velero, in test/e2e/attacks.test.ts.
let shared: SharedCluster;

beforeAll(async () => {
  shared = await SharedCluster.open();
});
afterAll(() => shared?.close());

const VELERO = `system:serviceaccount:${VELERO_NAMESPACE}:velero`;
const REFUSED = "was given to another namespace";

interface Claim {
  namespace?: string | null;
  name?: string | null;
}

let count = 0;

/** A volume with this claim, which `user` then patches with every right there is; returns what kubectl says. */
async function patched(claimRef: Claim | undefined, change: object, user = VELERO) {
  const name = `volume-${++count}`;
  const volume = {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name },
    spec: {
      nfs: { server: "nfs.invalid", path: "/" },
      capacity: { storage: "1Gi" },
      accessModes: ["ReadWriteOnce"],
      storageClassName: "by-hand",
      ...(claimRef && { claimRef }),
    },
  };
  await shared.cluster.apply([volume]);
  const patch = ["patch", `pv/${name}`, "--type=merge", "-p", JSON.stringify(change), `--as=${user}`];
  return await shared.cluster.kubectl([...patch, "--as-group=system:masters"]);
}

const claim = (claimRef: Claim | null) => ({ spec: { claimRef } });
const theirs = { namespace: "org-b", name: "theirs" };

test.each<[string, object]>([
  ["to another namespace", claim({ namespace: "org-a", name: "mine" })],
  ["to another namespace, under the same name", claim({ namespace: "org-a" })],
  ["into its own namespace", claim({ namespace: VELERO_NAMESPACE })],
  ["to nobody", claim(null)],
  ["to a claim without a namespace", claim({ namespace: null })],
])("Velero does not move a team's volume %s", async (_, change) => {
  const { code, stderr } = await patched(theirs, change);
  expect(code).not.toBe(0);
  expect(stderr).toContain(REFUSED);
});

test("nor does the account that Velero has by Helm's chart", async () => {
  const other = "system:serviceaccount:backup-system:velero-server";
  const { stderr } = await patched(theirs, claim({ namespace: "org-a" }), other);
  expect(stderr).toContain(REFUSED);
});

test.each<[string, Claim | undefined, object]>([
  ["a volume that is nobody's, to a team", undefined, claim({ namespace: "org-a", name: "mine" })],
  // As its data mover does, which fills the volume there.
  ["a volume out of its own namespace, to a team", { namespace: VELERO_NAMESPACE, name: "filled" }, claim(theirs)],
  ["a team's volume, from one claim to another", theirs, claim({ name: "renamed" })],
  ["a team's volume, in all but its claim", theirs, { spec: { persistentVolumeReclaimPolicy: "Delete" } }],
])("Velero may give %s", async (_, before, change) => {
  expect(await patched(before, change)).toMatchObject({ code: 0, stderr: "" });
});

test.each(["an-admin", "system:serviceaccount:org-b:not-velero", "system:serviceaccount:kube-system:pv-binder"])(
  "%s is not asked",
  async (user) => {
    expect(await patched(theirs, claim(null), user)).toMatchObject({ code: 0, stderr: "" });
  },
);
