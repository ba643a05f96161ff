import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { type StartedCluster, startCluster } from "../cluster/startCluster.ts";

// A cluster of its own, used as an admin would with kubectl: these tests install, and uninstall.
const manifests = join(import.meta.dirname, "../../manifests");
// The quota is for one namespace, and is tried in attacks/components.test.ts.
const COMPONENTS = ["application-instance-crd", "network-policy", "no-velero-hooks", "snapshot-classes"].map(
  (name) => `components/${name}`,
);
let cluster: StartedCluster;

beforeAll(async () => {
  cluster = await startCluster({ tier: "api", env: process.env, keep: false, progress: () => undefined });
  for (const folder of ["velero", ".", ...COMPONENTS]) {
    expect(await install(folder)).toMatchObject({ code: 0, stderr: "" });
  }
  await kubectl("create", "namespace", "org-a");
});

afterAll(() => cluster?.down());

const install = (folder: string) => cluster.kubectl(["apply", "-k", join(manifests, folder)]);

/** The output of a kubectl call that has to succeed without a warning (PodSecurity warns on stderr). */
async function kubectl(...args: string[]): Promise<string> {
  return kubectlWith("", ...args);
}

async function kubectlWith(input: string, ...args: string[]): Promise<string> {
  const result = await cluster.kubectl(args, { input });
  expect(result, `kubectl ${args.join(" ")}`).toMatchObject({ code: 0, stderr: "" });
  return result.stdout;
}

test.each(["velero", ".", ...COMPONENTS])("applying manifests/%s again changes nothing", async (folder) => {
  const { code, stdout, stderr } = await install(folder);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(
    stdout
      .trim()
      .split("\n")
      .filter((line) => !line.endsWith(" unchanged")),
  ).toEqual([]);
});

test("the storage location to fill in is one that Velero's CRD accepts", async () => {
  await kubectl("apply", "--dry-run=server", "-f", join(manifests, "velero/backup-storage-location.yaml"));
});

const jobSchema = z.object({
  metadata: z.object({ name: z.string() }),
  spec: z.object({
    template: z.object({
      spec: z.object({
        serviceAccountName: z.string(),
        containers: z.array(z.object({ env: z.array(z.object({ name: z.string(), value: z.string().optional() })) })),
      }),
    }),
  }),
});

describe.each(["backup", "restore"])("the %s template in the cluster", (type) => {
  test("becomes a Job with kubectl alone", async () => {
    const template = await kubectl(
      "get",
      "configmap",
      "operation-jobs",
      "-n",
      "vworkspace-system",
      `-o=jsonpath={.data.${type}\\.yaml}`,
    );
    const filledIn = await kubectlWith(
      template,
      "set",
      "env",
      "--local",
      "-f",
      "-",
      "OPERATION_NAMESPACE=org-a",
      "OPERATION_NAME=b1",
      "-o",
      "yaml",
    );
    const job = jobSchema.parse(
      JSON.parse(await kubectlWith(filledIn, "create", "-n", "vworkspace-system", "-f", "-", "-o", "json")),
    );

    expect(job.metadata.name).toMatch(new RegExp(`^${type}-`));
    expect(job.spec.template.spec.serviceAccountName).toBe(`operation-${type}-runner`);
    expect(job.spec.template.spec.containers[0]?.env).toEqual(
      expect.arrayContaining([
        { name: "OPERATION_NAMESPACE", value: "org-a" },
        { name: "OPERATION_NAME", value: "b1" },
        { name: "OPERATION_UID" },
      ]),
    );
  });
});

const rulesSchema = z.object({
  status: z.object({
    incomplete: z.boolean(),
    resourceRules: z.array(
      z.object({
        apiGroups: z.array(z.string()),
        resources: z.array(z.string()),
        resourceNames: z.array(z.string()).optional(),
        verbs: z.array(z.string()),
      }),
    ),
  }),
});

/** What `kubectl auth can-i --list` shows, as JSON: without what every authenticated user may ask about itself. */
async function rightsOf(account: string, namespace: string): Promise<string[]> {
  const review = { apiVersion: "authorization.k8s.io/v1", kind: "SelfSubjectRulesReview", spec: { namespace } };
  const as = `--as=system:serviceaccount:vworkspace-system:${account}`;
  const answer = await kubectlWith(JSON.stringify(review), "create", as, "--validate=false", "-f", "-", "-o", "json");
  const { status } = rulesSchema.parse(JSON.parse(answer));
  expect(status.incomplete).toBe(false);
  return status.resourceRules
    .filter(({ apiGroups }) => !apiGroups.some((group) => /^auth(entication|orization)\.k8s\.io$/.test(group)))
    .flatMap(({ apiGroups, resources, resourceNames, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.map(
          (resource) => `${group}/${resource}${resourceNames ? ` [${resourceNames}]` : ""}: ${verbs.join(" ")}`,
        ),
      ),
    )
    .sort();
}

const status = "ops.vworkspace.io/operations/status: update";
const events = "/events: create";
const dispatcher = [
  status,
  events,
  "ops.vworkspace.io/operations: list watch",
  "apps.vworkspace.io/applicationinstances: list watch",
  "snapshot.storage.k8s.io/volumesnapshotclasses: list watch",
  "/namespaces: list watch",
  "apiextensions.k8s.io/customresourcedefinitions [volumesnapshotclasses.snapshot.storage.k8s.io,applicationinstances.apps.vworkspace.io,operations.ops.vworkspace.io]: list watch",
  "admissionregistration.k8s.io/validatingadmissionpolicies [operation-rights.ops.vworkspace.io]: list watch",
  "admissionregistration.k8s.io/validatingadmissionpolicybindings [operation-rights.ops.vworkspace.io]: list watch",
];
const runner = [status, events, "ops.vworkspace.io/operations: get list watch", "/namespaces: get"];
const backupRunner = [
  ...runner,
  "snapshot.storage.k8s.io/volumesnapshotclasses: get",
  "apiextensions.k8s.io/customresourcedefinitions: get",
];

test.each([
  ["operation-dispatcher", "org-a", dispatcher],
  [
    "operation-dispatcher",
    "vworkspace-system",
    [
      ...dispatcher,
      "batch/jobs: create get list watch delete",
      "/pods: list watch",
      "/events: list watch",
      "/configmaps [operation-jobs]: list watch",
      "coordination.k8s.io/leases: create",
      "coordination.k8s.io/leases [operation-dispatcher]: get update",
    ],
  ],
  [
    "operation-dispatcher",
    "velero",
    [
      ...dispatcher,
      "velero.io/backupstoragelocations: list watch",
      "velero.io/backups: list watch",
      "velero.io/restores: list watch",
      "apps/deployments [velero]: list watch",
    ],
  ],
  ["operation-backup-runner", "org-a", backupRunner],
  ["operation-backup-runner", "vworkspace-system", backupRunner],
  [
    "operation-backup-runner",
    "velero",
    [
      ...backupRunner,
      "velero.io/backups: create get list watch delete",
      "velero.io/downloadrequests: create list watch delete",
      "velero.io/backupstoragelocations: get",
      "velero.io/podvolumebackups: list patch",
      "velero.io/datauploads: list patch",
      "velero.io/deletebackuprequests: create list watch delete",
    ],
  ],
  ["operation-restore-runner", "org-a", runner],
  ["operation-restore-runner", "vworkspace-system", runner],
  [
    "operation-restore-runner",
    "velero",
    [
      ...runner,
      "velero.io/restores: create get list watch delete",
      "velero.io/backups: get",
      "velero.io/podvolumerestores: list",
      "velero.io/datadownloads: list",
      "velero.io/downloadrequests: create list watch delete",
      "velero.io/backupstoragelocations: get",
    ],
  ],
])("%s can do in %s what it needs, and no more", async (account, namespace, rights) => {
  expect(await rightsOf(account, namespace)).toEqual([...rights].sort());
});

test("who may edit a namespace may make Operations there, and not their outcome; who may view it sees them", async () => {
  await kubectl("create", "rolebinding", "editor", "-n", "org-a", "--clusterrole=edit", "--user=editor");
  await kubectl("create", "rolebinding", "viewer", "-n", "org-a", "--clusterrole=view", "--user=viewer");
  const can = async (user: string, ...what: string[]) => {
    const { stdout } = await cluster.kubectl(["auth", "can-i", "-n", "org-a", `--as=${user}`, ...what]);
    return stdout.trim();
  };
  const operations = "operations.ops.vworkspace.io";

  // The controller that adds them to Kubernetes' own roles needs a moment.
  await expect.poll(() => can("editor", "create", operations), { timeout: 60_000 }).toBe("yes");
  await expect.poll(() => can("viewer", "get", operations), { timeout: 60_000 }).toBe("yes");
  expect(await can("editor", "update", operations, "--subresource=status")).toBe("no");
  expect(await can("viewer", "create", operations)).toBe("no");
});

describe("uninstalling", () => {
  const operation = {
    apiVersion: "ops.vworkspace.io/v1alpha1",
    kind: "Operation",
    metadata: { name: "kept", namespace: "org-a" },
    spec: {
      targetRef: { apiVersion: "apps.vworkspace.io/v1alpha1", kind: "ApplicationInstance", name: "app" },
      type: "Backup",
      engine: "velero",
    },
  };
  const findOperation = () => kubectl("get", "operation", "kept", "-n", "org-a", "-o", "name");
  const remove = (folder: string) => cluster.kubectl(["delete", "-k", join(manifests, folder), "--wait=false"]);

  beforeAll(() => cluster.apply([operation]));

  test("the dispatcher by its base leaves the CRDs and every Operation", async () => {
    expect(await remove("base")).toMatchObject({ code: 0 });

    expect(await findOperation()).toContain("kept");
    expect((await cluster.kubectl(["get", "clusterrole", "operation-dispatcher"])).stderr).toContain("NotFound");
  });

  test.each(["velero", "."])("manifests/%s as a whole is refused where it would delete CRDs", async (folder) => {
    const { code, stderr } = await remove(folder);

    expect(code).not.toBe(0);
    expect(stderr).toContain("deleting this CRD deletes every");
    expect(stderr).toMatch(/kubectl label crd \S+ ops\.vworkspace\.io\/keep-/);
    const crds = await kubectl("get", "crd", "-o", "name");
    expect(crds).toContain("operations.ops.vworkspace.io");
    expect(crds).toContain("volumesnapshotcontents.snapshot.storage.k8s.io");
    expect(await findOperation()).toContain("kept");
  });
});
