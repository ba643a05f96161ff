import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { applicationInstances } from "../../../src/api/applicationInstance.ts";
import { operations } from "../../../src/api/operation.ts";
import { loadSettings, settingsSchema } from "../../../src/dispatcher/settings.ts";
import { backupOperation } from "../../scenario/operations.ts";
import { SYSTEM_NAMESPACE } from "../../scenario/platform.ts";
import { SharedCluster } from "./sharedCluster.ts";
import { restoreSpec, velero } from "./veleroObjects.ts";

// What the opt-in components take from Ann, who may edit org-a, and from an owner of it, who is its admin.
let shared: SharedCluster;
let owner: string;

const PATIENCE = { timeout: 60_000 };

beforeAll(async () => {
  shared = await SharedCluster.open();
  owner = await shared.cluster.user("owner");
  await admin("create", "rolebinding", "owner", "-n", "org-a", "--clusterrole=admin", "--user=owner");
  for (const component of ["no-velero-hooks", "snapshot-classes", "pause-target", "managed-by-label", "retention"]) {
    await shared.cluster.apply(`manifests/components/${component}`);
  }
  // Policies take effect a moment after they were applied, and so does the account that pods run under.
  await vi.waitFor(() => admin("get", "serviceaccount/default", "-n", "org-a"), PATIENCE);
  for (const denied of [pod({ [COMMAND]: "[]" }), claim("unlisted")]) {
    const probe = ["create", "--dry-run=server", "-f", "-"];
    const refused = async () => {
      const answer = await shared.cluster.kubectl(probe, { as: shared.users.ann, input: JSON.stringify(denied) });
      expect(answer.stderr).toContain("which an administrator sets");
    };
    await vi.waitFor(refused, PATIENCE);
  }
});
afterAll(() => shared?.close());

async function admin(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await shared.cluster.kubectl(args);
  expect(code, stderr).toBe(0);
  return stdout;
}

let count = 0;
const RECONCILE = "apps.vworkspace.io/reconcile";
const PAUSED_BY = "ops.vworkspace.io/paused-by";
const COMMAND = "pre.hook.backup.velero.io/command";

function pod(annotations: Record<string, string>, namespace = "org-a"): object {
  const metadata = { name: `pod-${++count}`, namespace, annotations };
  return { apiVersion: "v1", kind: "Pod", metadata, spec: { containers: [{ name: "app", image: "app:1" }] } };
}

const CLASS = "velero.io/csi-volumesnapshot-class";

function claim(className: string | undefined, key = CLASS): object {
  const annotations = className === undefined ? {} : { [key]: className };
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: `claim-${++count}`, namespace: "org-a", annotations },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
  };
}

const asAnn = (object: object) => shared.create(object, shared.users.ann);
const annotate = (what: string, annotation: string, as: string) =>
  shared.cluster.kubectl(["annotate", what, "-n", "org-a", "--overwrite", annotation], { as });

describe("what opens a namespace", () => {
  test.each([
    ["label", "ops.vworkspace.io/velero-hooks=allowed"],
    ["label", "ops.vworkspace.io/metrics=true"],
    ["annotate", "ops.vworkspace.io/snapshot-classes=gold"],
  ])("is not for its people to set: kubectl %s namespace %s", async (verb, value) => {
    for (const as of [shared.users.ann, owner]) {
      const { code, stderr } = await shared.cluster.kubectl([verb, "namespace", "org-a", value], { as });
      expect(code).not.toBe(0);
      expect(stderr).toContain("Forbidden");
    }
  });
});

test("retention: a stolen token of the dispatcher deletes nothing that has not ended", async () => {
  const kept = { namespace: "org-a", name: "going-on" };
  const targetRef = { apiVersion: "apps.vworkspace.io/v1alpha1", kind: "ApplicationInstance", name: "nowhere" };
  await shared.client.create(operations, { metadata: kept, spec: { type: "Backup", engine: "velero", targetRef } });
  await vi.waitFor(async () => {
    await expect(shared.as("dispatcher").delete(operations, kept)).rejects.toThrow("only Operations that have ended");
  }, PATIENCE);
  await expect(shared.client.get(operations, kept)).resolves.toBeDefined();
  await shared.client.delete(operations, kept);
});

describe("pause-target: a stolen token of the dispatcher", () => {
  const shop = { namespace: "org-a", name: "paused" };
  const patch = (change: Record<string, unknown>) =>
    shared.as("dispatcher").mergePatch(applicationInstances, shop, change);
  const annotations = (change: Record<string, string | null>) => ({ metadata: { annotations: change } });
  const disabled = annotations({ [RECONCILE]: "disabled", [PAUSED_BY]: "u1/1" });

  beforeAll(async () => {
    const metadata = { ...shop, annotations: { "example.com/kept": "x" }, labels: { app: "shop" } };
    await shared.client.create(applicationInstances, { metadata, spec: { release: { name: "shop" } } });
    await vi.waitFor(async () => {
      await expect(patch({ spec: { release: { name: "stolen" } } })).rejects.toThrow(
        "nothing of an ApplicationInstance",
      );
    }, PATIENCE);
  });

  test("pauses a target and takes that back", async () => {
    await expect(patch(disabled)).resolves.toMatchObject({ metadata: { annotations: { [RECONCILE]: "disabled" } } });
    await expect(patch(annotations({ [RECONCILE]: null, [PAUSED_BY]: null }))).resolves.toBeDefined();
  });

  test.each<[string, Record<string, unknown>, string]>([
    ["what is installed", { spec: { chart: "evil" } }, "nothing of an ApplicationInstance but"],
    ["its labels", { metadata: { labels: { app: "other" } } }, "nothing of an ApplicationInstance but"],
    ["another annotation", annotations({ "example.com/kept": "y" }), "nothing of an ApplicationInstance but"],
    ["an annotation more", annotations({ "ops.vworkspace.io/backup": "" }), "nothing of an ApplicationInstance but"],
    ["an annotation less", annotations({ "example.com/kept": null }), "nothing of an ApplicationInstance but"],
    ["its finalizers", { metadata: { finalizers: ["example.com/x"] } }, "nothing of an ApplicationInstance but"],
    ["its controller's orders", annotations({ [RECONCILE]: "force" }), "no value but disabled"],
  ])("does not change %s", async (_, change, why) => {
    await expect(patch(change)).rejects.toThrow(why);
  });

  test("makes and removes no target", async () => {
    const thief = shared.as("dispatcher");
    const other = { metadata: { namespace: "org-a", name: "another" }, spec: {} };
    await expect(thief.create(applicationInstances, other)).rejects.toThrow("403");
    await expect(thief.delete(applicationInstances, shop)).rejects.toThrow("403");
  });
});

describe("no-velero-hooks", () => {
  test.each(["status", "binding"])(
    "pods/%s, by which a pod can be annotated as well, is nobody's of the team",
    async (subresource) => {
      for (const as of [shared.users.ann, owner]) {
        for (const verb of ["create", "update", "patch"]) {
          const may = ["auth", "can-i", verb, "pods", `--subresource=${subresource}`, "-n", "org-a"];
          expect((await shared.cluster.kubectl(may, { as })).stdout.trim()).toBe("no");
        }
      }
    },
  );

  test.each([
    "pre.hook.backup.velero.io/command",
    "post.hook.backup.velero.io/timeout",
    "hook.backup.velero.io/command",
    "post.hook.restore.velero.io/exec-timeout",
  ])("a pod with %s is refused", async (annotation) => {
    const { code, stderr } = await asAnn(pod({ [annotation]: "1h" }));
    expect(code).not.toBe(0);
    expect(stderr).toContain(`Velero would run a command in this pod: ${annotation}. Namespace org-a has no label`);
  });

  test("a pod does not get one later", async () => {
    expect(await asAnn(pod({ "example.com/note": "x" }))).toMatchObject({ code: 0, stderr: "" });
    const { stderr } = await annotate(`pod/pod-${count}`, `${COMMAND}=["sleep","1h"]`, shared.users.ann);
    expect(stderr).toContain("Velero would run a command in this pod");
    expect(await annotate(`pod/pod-${count}`, "example.com/note=y", shared.users.ann)).toMatchObject({ code: 0 });
  });

  test("a Deployment with one in its template gets no pod, and hears why", async () => {
    const labels = { app: "hooked" };
    const template = {
      metadata: { labels, annotations: { [COMMAND]: '["sleep","1h"]' } },
      spec: { containers: [{ name: "app", image: "app:1" }] },
    };
    const deployment = {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "hooked", namespace: "org-a" },
      spec: { selector: { matchLabels: labels }, template },
    };
    expect(await asAnn(deployment)).toMatchObject({ code: 0 });
    const message = "jsonpath={.status.conditions[?(@.type=='ReplicaFailure')].message}";
    const why = () => admin("get", "deployment/hooked", "-n", "org-a", "-o", message);
    await expect.poll(why, PATIENCE).toContain("Velero would run a command in this pod");
    expect(await admin("get", "pods", "-n", "org-a", "-l", "app=hooked", "-o", "name")).toBe("");
  });

  test("in a namespace that an administrator has labelled it may; taken back, what is there stays and gets no other", async () => {
    const label = (value: string) => admin("label", "namespace", "org-a", `ops.vworkspace.io/velero-hooks${value}`);
    await label("=allowed");
    const hooked = pod({ [COMMAND]: '["true"]' });
    await expect.poll(() => asAnn(hooked), PATIENCE).toMatchObject({ code: 0 });
    const name = `pod/pod-${count}`;
    await label("-");
    const change = () => annotate(name, `${COMMAND}=["sleep","1h"]`, shared.users.ann);
    await expect
      .poll(async () => (await change()).stderr, PATIENCE)
      .toContain("Velero would run a command in this pod");
    expect(await annotate(name, "example.com/note=z", shared.users.ann)).toMatchObject({ code: 0, stderr: "" });
    expect(await annotate(name, `${COMMAND}-`, shared.users.ann)).toMatchObject({ code: 0, stderr: "" });
  });
});

describe("snapshot-classes", () => {
  test.each([CLASS, "velero.io/csi-volume-group-snapshot-class"])(
    "a claim chooses no class by %s where none is listed",
    async (key) => {
      const { code, stderr } = await asAnn(claim("gold", key));
      expect(code).not.toBe(0);
      expect(stderr).toContain(
        `${key}: gold is none of the classes in the annotation ops.vworkspace.io/snapshot-classes`,
      );
      expect(stderr).toMatch(/which an administrator sets: none$/m);
    },
  );

  test("nor does it get one later", async () => {
    expect(await asAnn(claim(undefined))).toMatchObject({ code: 0, stderr: "" });
    const { stderr } = await annotate(`pvc/claim-${count}`, `${CLASS}=gold`, shared.users.ann);
    expect(stderr).toContain("gold is none of the classes");
    expect(await annotate(`pvc/claim-${count}`, "example.com/note=x", shared.users.ann)).toMatchObject({ code: 0 });
  });

  test("of those that an administrator lists it may; taken back, what is there stays and gets no other", async () => {
    const list = (value: string) =>
      admin("annotate", "namespace", "org-a", "--overwrite", `ops.vworkspace.io/snapshot-classes=${value}`);
    await list("fast, cheap");
    const cheap = claim("cheap");
    await expect.poll(() => asAnn(cheap), PATIENCE).toMatchObject({ code: 0 });
    const name = `pvc/claim-${count}`;
    // Velero takes no notice of capitals, and of a part of a name neither.
    for (const other of ["gold", "Fast", "fas", "fast, cheap", ""]) {
      expect((await asAnn(claim(other))).stderr, other).toMatch(/is none of the classes.*: fast, cheap$/m);
    }
    await list("");
    const change = () => annotate(name, `${CLASS}=fast`, shared.users.ann);
    await expect.poll(async () => (await change()).stderr, PATIENCE).toContain("fast is none of the classes");
    expect(await annotate(name, "example.com/note=y", shared.users.ann)).toMatchObject({ code: 0, stderr: "" });
  });
});

describe("operation-quota", () => {
  test("more Operations than it says are refused, and the team cannot raise it", async () => {
    await admin("apply", "-k", "manifests/components/operation-quota", "-n", "org-a");
    const hard = (value: number) =>
      JSON.stringify({ spec: { hard: { "count/operations.ops.vworkspace.io": `${value}` } } });
    const patch = (value: number) => ["patch", "quota/operations", "-n", "org-a", "--type=merge", "-p", hard(value)];
    const counted = (field: string) =>
      admin(
        "get",
        "quota/operations",
        "-n",
        "org-a",
        "-o",
        `jsonpath={.status.${field}.count/operations\\.ops\\.vworkspace\\.io}`,
      );
    // The controller that counts looks for new kinds every half minute, and for a quota of one that it did not know when the
    // quota changes.
    let room = 100;
    const noticed = async () => {
      await admin(...patch(++room));
      return await counted("used");
    };
    await expect.poll(noticed, { timeout: 120_000, interval: 1000 }).toBe("0");
    await admin(...patch(2));
    await expect.poll(() => counted("hard"), PATIENCE).toBe("2");
    const create = (name: string) => asAnn(backupOperation({ namespace: "org-a", name }));
    expect(await create("first")).toMatchObject({ code: 0 });
    expect(await create("second")).toMatchObject({ code: 0 });
    expect((await create("third")).stderr).toContain("exceeded quota: operations");
    for (const as of [shared.users.ann, owner]) {
      expect((await shared.cluster.kubectl(patch(1000), { as })).stderr).toContain("Forbidden");
    }
    await shared.cluster.kubectl(["delete", "operation/first", "-n", "org-a"], { as: shared.users.ann });
    await expect.poll(() => create("third"), PATIENCE).toMatchObject({ code: 0 });
  });
});

describe("hardened", () => {
  const RIGHTS = ["rbac.authorization.k8s.io", "authorization.openshift.io"].flatMap((group) => [
    `roles.${group}`,
    `rolebindings.${group}`,
  ]);

  /** What the API server answers to the restore runner whose Restore leaves these out. */
  async function restoreWithout(excludedResources: readonly string[]) {
    const restore = velero("Restore", { ...restoreSpec, excludedResources });
    const create = ["create", "--dry-run=server", "-f", "-"];
    return await shared.cluster.kubectl(create, { as: shared.accounts.restoreRunner, input: JSON.stringify(restore) });
  }

  // As an admin installs it: an overlay. It lies among the cluster's files.
  beforeAll(async () => {
    const folder = path.join(shared.cluster.connection.folder, "hardened");
    await mkdir(folder);
    const here = (target: string) => path.relative(folder, path.resolve("manifests", target));
    const overlay = {
      apiVersion: "kustomize.config.k8s.io/v1beta1",
      kind: "Kustomization",
      resources: [here(".")],
      components: [here("components/hardened")],
    };
    await writeFile(path.join(folder, "kustomization.yaml"), JSON.stringify(overlay));
    await shared.cluster.apply(folder);
    const refused = async () => expect((await restoreWithout(LEFT_OUT)).code).not.toBe(0);
    await vi.waitFor(refused, PATIENCE);
  });

  const LEFT_OUT = ["operations.ops.vworkspace.io", ...settingsSchema.parse({}).restore.excludedResources];

  test.each(RIGHTS)("no Restore is made that would bring %s back", async (resource) => {
    const others = RIGHTS.filter((each) => each !== resource);
    const { code, stderr } = await restoreWithout([...LEFT_OUT, ...others]);
    expect(code).not.toBe(0);
    expect(stderr).toContain(`spec.excludedResources: must have ${resource}, or rights that were taken away`);
  });

  test("the dispatcher has its Restores leave out what the policies demand", async () => {
    const name = "OPERATION_RUNNER_RESTORE_EXCLUDED_RESOURCES";
    const value = `jsonpath={.spec.template.spec.containers[0].env[?(@.name=="${name}")].value}`;
    const env = { [name]: await admin("get", "deployment/operation-dispatcher", "-n", SYSTEM_NAMESPACE, "-o", value) };
    const { restore } = await loadSettings(env);
    expect(restore.excludedResources).toEqual(expect.arrayContaining([...LEFT_OUT.slice(1), ...RIGHTS]));
    expect(await restoreWithout(["operations.ops.vworkspace.io", ...restore.excludedResources])).toMatchObject({
      code: 0,
      stderr: "",
    });
  });
});

describe("managed-by-label", () => {
  const LABEL = "app.vworkspace.io/managed-by";
  const NEEDS = "only who has the verb attest";
  const labelled = (name: string) => {
    const operation = backupOperation({ namespace: "org-a", name });
    return { ...operation, metadata: { ...operation.metadata, labels: { [LABEL]: "control-plane" } } };
  };
  const change = (who: string, verb: string, what: string) =>
    shared.cluster.kubectl([verb, "operation/asked", "-n", "org-a", what], { as: who });

  beforeAll(async () => {
    // Whoever ran before may have left no room.
    await admin("delete", "quota", "--all", "-n", "org-a");
    await vi.waitFor(async () => {
      const probe = ["create", "--dry-run=server", "-f", "-"];
      const input = JSON.stringify(labelled("probe"));
      expect((await shared.cluster.kubectl(probe, { as: shared.users.ann, input })).stderr).toContain(NEEDS);
    }, PATIENCE);
    expect(await shared.create(labelled("asked"), shared.cluster.kubeconfig)).toMatchObject({ code: 0 });
    expect(await shared.create(backupOperation({ namespace: "org-a", name: "own" }), shared.users.ann)).toMatchObject({
      code: 0,
    });
  });

  test("no tenant says that the control plane asked for something", async () => {
    for (const who of [shared.users.ann, owner]) {
      expect((await shared.create(labelled("forged"), who)).stderr).toContain(NEEDS);
      const label = ["label", "operation/own", "-n", "org-a", `${LABEL}=control-plane`];
      expect((await shared.cluster.kubectl(label, { as: who })).stderr).toContain(NEEDS);
    }
  });

  test("no tenant gives themselves the verb", async () => {
    const role = [
      "create",
      "role",
      "attest",
      "-n",
      "org-a",
      "--verb=attest",
      "--resource=operations.ops.vworkspace.io",
    ];
    expect((await shared.cluster.kubectl(role, { as: owner })).stderr).toContain(
      "attempting to grant RBAC permissions",
    );
  });

  test("a tenant cancels what the control plane asked for, and changes nothing else of it", async () => {
    expect((await change(shared.users.ann, "annotate", "ops.vworkspace.io/rerun=1")).stderr).toContain(NEEDS);
    expect(await change(shared.users.ann, "annotate", "ops.vworkspace.io/cancel=true")).toMatchObject({ code: 0 });
    expect((await change(shared.users.ann, "annotate", "ops.vworkspace.io/cancel-")).stderr).toContain(NEEDS);
  });

  test("whom an admin binds to operation-control-plane may say so", async () => {
    await admin("create", "rolebinding", "bob-edits", "-n", "org-a", "--clusterrole=edit", "--user=bob");
    await admin("create", "rolebinding", "bob", "-n", "org-a", "--clusterrole=operation-control-plane", "--user=bob");
    const made = () => shared.create(labelled("by-bob"), shared.users.bob);
    await expect.poll(made, PATIENCE).toMatchObject({ code: 0 });
  });
});
