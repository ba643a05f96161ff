import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { z } from "zod";
import { Label } from "../../src/api/labels.ts";
import {
  isVeleroOperation,
  type Operation,
  type OperationType,
  operationSchema,
  type VeleroOperation,
} from "../../src/api/operation.ts";
import { jobOf } from "../scenario/byHand.ts";
import { backupOperation } from "../scenario/operations.ts";
import { conditionsOf } from "../scenario/outcome.ts";
import { systemKubectl } from "../scenario/platform.ts";
import { SharedCluster } from "./attacks/sharedCluster.ts";

// What docs/examples says, done by whom it says: an admin applies the overlays, and Ann, who may edit both namespaces of her team,
// the Operations.
const EXAMPLES = "docs/examples";
const NAMESPACES = ["org-myteam", "org-myteam-staging"];
let folder: string;
let shared: SharedCluster;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "examples-"));
  await writeFile(inFolder("settings.yaml"), "");
  await writeFile(inFolder("approval-key"), "0123456789abcdef\n");
  shared = await SharedCluster.open({
    OPERATION_RUNNER_SETTINGS: inFolder("settings.yaml"),
    OPERATION_RUNNER_APPROVAL_KEY_FILE: inFolder("approval-key"),
    OPERATION_RUNNER_STORAGE_LOCATIONS: "{}",
    OPERATION_RUNNER_STORAGE_LOCATIONS_CLOSED: "false",
  });
  for (const namespace of NAMESPACES) {
    await admin("create", "namespace", namespace);
    await admin("create", "rolebinding", "team", "-n", namespace, "--clusterrole=edit", "--user=ann");
  }
  await admin("apply", "-f", `${EXAMPLES}/application-instance.yaml`);
});
afterAll(async () => {
  await shared?.close();
  await rm(folder, { recursive: true, force: true });
});

const inFolder = (name: string) => path.join(folder, name);

/** The environment of a shell in which Ann works. */
function asAnn(): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PATH: `${shared.cluster.programs}:${process.env.PATH}`,
    KUBECONFIG: shared.users.ann,
  };
}

async function admin(...args: string[]): Promise<string> {
  const answer = await shared.cluster.kubectl(args);
  expect(answer, `kubectl ${args.join(" ")}`).toMatchObject({ code: 0, stderr: "" });
  return answer.stdout;
}

/** Ann applies the file, without a warning; resolves with the Operation in it. */
async function applied(file: string): Promise<VeleroOperation> {
  const args = ["apply", "-f", `${EXAMPLES}/${file}`, "-o", "json"];
  const answer = await shared.cluster.kubectl(args, { as: shared.users.ann });
  expect(answer).toMatchObject({ code: 0, stderr: "" });
  const operation = operationSchema.parse(JSON.parse(answer.stdout));
  if (!isVeleroOperation(operation)) throw new Error(`${file} asks for something else`);
  return operation;
}

/** Has the runner and Velero carry out an Operation whose Velero object has its name. */
async function carryOut(namespace: string, name: string, type: OperationType): Promise<Operation> {
  const exitCode = shared.carryOut(namespace, name);
  await shared.velero.created(type, name);
  await shared.velero.setStatus(type, name, { phase: "Completed", progress: { totalItems: 2, itemsBackedUp: 2 } });
  expect(await exitCode).toBe(0);
  return await shared.until(namespace, name, ({ status }) => status?.phase === "Succeeded");
}

/** Runs the README's recipe for scripts as Ann; resolves with its exit code. */
async function waitedFor(name: string): Promise<number> {
  const readme = await readFile("README.md", "utf8");
  const [recipe = ""] = /^ {4}kubectl wait .*\n {4}kubectl get .*$/m.exec(readme) ?? [];
  const shell = execFile("sh", ["-c", recipe.replaceAll("shop-backup", name)], { env: asAnn() });
  onTestFinished(() => void shell.kill());
  const [code] = await once(shell, "close");
  return code;
}

const hookSchema = z.object({
  kind: z.literal("Job"),
  spec: z.object({
    template: z.object({ spec: z.object({ containers: z.tuple([z.object({ args: z.array(z.string()) })]) }) }),
  }),
});

test("the README's recipe for scripts ends with an Operation that fails, and says so", async () => {
  const parameters = { includedResources: ["*", "configmaps"] };
  const operation = backupOperation({ namespace: "org-myteam", name: "failing", parameters });
  const options = { as: shared.users.ann, input: JSON.stringify(operation) };
  expect(await shared.cluster.kubectl(["apply", "-f", "-"], options)).toMatchObject({ code: 0, stderr: "" });
  expect(await waitedFor("failing")).toBe(1);
});

test("a backup is restored into its own namespace, and into another one", async () => {
  await applied("backup.yaml");
  const waited = waitedFor("shop-backup");
  await carryOut("org-myteam", "shop-backup", "Backup");
  expect(await waited).toBe(0);

  await applied("restore.yaml");
  const { status } = await carryOut("org-myteam", "shop-restore", "Restore");
  expect(status?.outputs?.backupName).toBe("shop-backup");

  const renamed = await applied("restore-renamed.yaml");
  const exitCode = shared.carryOut("org-myteam-staging", "shop-restore");
  const made = async () =>
    (await shared.velero.all("Restore")).filter(
      ({ metadata }) => metadata.labels?.[Label.operation] === renamed.metadata.uid,
    );
  await expect.poll(made, { timeout: 60_000 }).toHaveLength(1);
  const [restore] = await made();
  expect(restore?.spec).toMatchObject({
    backupName: "shop-backup",
    includedNamespaces: ["org-myteam"],
    namespaceMapping: { "org-myteam": "org-myteam-staging" },
  });
  await shared.velero.setStatus("Restore", restore?.metadata.name ?? "", { phase: "Completed" });
  expect(await exitCode).toBe(0);
});

describe("what GitOps tools apply", () => {
  const dryRun = async (input: string) => {
    const args = ["create", "--dry-run=server", "-n", "org-myteam", "-f", "-"];
    return await shared.cluster.kubectl(args, { as: shared.users.ann, input });
  };

  test("the backup before a sync of Argo CD is one that the team may ask for", async () => {
    const file = await readFile(`${EXAMPLES}/gitops/argo-cd-presync.yaml`, "utf8");
    expect(await dryRun(file)).toMatchObject({ code: 0, stderr: "" });
  });

  test("the Job before an upgrade by Helm waits for its backup, with the rights of the example", async () => {
    const file = (await readFile(`${EXAMPLES}/gitops/helm-hook.yaml`, "utf8")).replace("{{ .Release.Revision }}", "7");
    await admin("label", "namespace", "org-myteam", "pod-security.kubernetes.io/enforce=restricted");
    const applied = await shared.cluster.kubectl(["apply", "-n", "org-myteam", "-f", "-"], { input: file });
    // A pod that PodSecurity would refuse causes a warning.
    expect(applied).toMatchObject({ code: 0, stderr: "" });
    const [{ args }] = hookSchema.parse(parseAllDocuments(file).at(-1)?.toJS()).spec.template.spec.containers;
    const account = "system:serviceaccount:org-myteam:backup-before-upgrade";
    const asPod = [...args, "-n", "org-myteam", "--as", account, "--kubeconfig", shared.cluster.kubeconfig];
    const asked = promisify(execFile)(process.execPath, ["src/main.ts", ...asPod]);
    await carryOut("org-myteam", "shop-before-7", "Backup");
    expect((await asked).stdout).toContain("shop-before-7");
  });
});

describe("the overlay with approvals", () => {
  beforeAll(async () => {
    await shared.cluster.apply(`${EXAMPLES}/approval`);
    const settings = await systemKubectl(
      shared.cluster,
      "get",
      "configmap/operation-dispatcher-settings",
      "-o=jsonpath={.data.settings\\.yaml}",
    );
    // The key's path is overridden by the environment: here is no pod with that mount.
    await writeFile(inFolder("settings.yaml"), settings);
    await shared.restartDispatcher();
  });

  test("mounts the key where the settings say it is", async () => {
    const { approvalKeyFile } = parse(await readFile(inFolder("settings.yaml"), "utf8"));
    const mounts = z
      .array(z.object({ name: z.string(), mountPath: z.string() }))
      .parse(
        JSON.parse(
          await systemKubectl(
            shared.cluster,
            "get",
            "deployment/operation-dispatcher",
            "-o=jsonpath={.spec.template.spec.containers[0].volumeMounts}",
          ),
        ),
      );
    expect(mounts).toContainEqual({ name: "approval-key", mountPath: path.dirname(approvalKeyFile) });
  });

  test("holds a Restore back until the script approves it", async () => {
    const { namespace, name } = (await applied("approval/restore.yaml")).metadata;
    const waiting = await shared.until(namespace, name, ({ status }) => status?.reason === "AwaitingApproval");
    expect(conditionsOf(waiting)).toMatchObject({ Blocked: "True/AwaitingApproval" });

    const script = `${EXAMPLES}/approval/approve.sh`;
    await promisify(execFile)(script, [namespace, name, inFolder("approval-key")], { env: asAnn() });

    const admitted = await shared.until(namespace, name, ({ status }) => status?.runner?.jobName !== undefined);
    expect(conditionsOf(admitted)).toMatchObject({ Accepted: "True/TemplateValidated", Blocked: "False/Unblocked" });
    await carryOut(namespace, name, "Restore");
  });
});

describe("the overlay with Job templates", () => {
  const template = async (file: string) => parse(await readFile(file, "utf8"));

  test("differs from the shipped template by what it says, and by nothing else", async () => {
    const { metadata, spec } = await template("jobs/backup.yaml");
    metadata.labels["kueue.x-k8s.io/queue-name"] = "backups";
    const pod = spec.template.spec;
    pod.nodeSelector = { "example.com/pool": "maintenance" };
    pod.tolerations = [{ key: "example.com/maintenance", operator: "Exists", effect: "NoSchedule" }];
    const [runner] = pod.containers;
    runner.resources.limits.memory = "512Mi";
    const proxy = ["HTTPS_PROXY", "NO_PROXY"];
    const example = await template(`${EXAMPLES}/job-templates/backup.yaml`);
    const [changed] = example.spec.template.spec.containers;
    expect(changed.env.map(({ name }: { name: string }) => name)).toEqual(expect.arrayContaining(proxy));
    changed.env = changed.env.filter(({ name }: { name: string }) => !proxy.includes(name));

    expect(example).toEqual({ ...example, metadata, spec });
  });

  test("has the dispatcher make Backups' Jobs of it", async () => {
    await shared.cluster.apply(`${EXAMPLES}/job-templates`);
    await shared.restartDispatcher();
    await admin("delete", "operation/shop-backup", "-n", "org-myteam");
    const { namespace, name } = (await applied("backup.yaml")).metadata;

    const { metadata, spec } = await jobOf(shared.client, namespace, name);
    expect(metadata.labels).toMatchObject({ "kueue.x-k8s.io/queue-name": "backups" });
    expect(spec).toMatchObject({ template: { spec: { nodeSelector: { "example.com/pool": "maintenance" } } } });
  });
});
