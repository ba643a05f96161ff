import { writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, vi } from "vitest";
import { stringify } from "yaml";
import { applicationInstances } from "../../../src/api/applicationInstance.ts";
import { isTerminal, type Operation, operations } from "../../../src/api/operation.ts";
import { ConditionType } from "../../../src/api/reasons.ts";
import { conditionOf } from "../../../src/api/status.ts";
import { connect, type KubeClient } from "../../../src/kube/client.ts";
import { systemClock } from "../../../src/kube/clock.ts";
import { awaitCondition } from "../../../src/kube/wait.ts";
import { createLogger } from "../../../src/log.ts";
import { main as runner } from "../../../src/runner/main.ts";
import type { Result } from "../../cluster/cluster.ts";
import { type StartedCluster, startCluster } from "../../cluster/startCluster.ts";
import { identityOf, jobOf, runnerEnv } from "../../scenario/byHand.ts";
import { restoreOperation } from "../../scenario/operations.ts";
import { SYSTEM_NAMESPACE, VELERO_NAMESPACE, waitFor } from "../../scenario/platform.ts";
import { DispatcherProcess } from "../dispatcher/dispatcherProcess.ts";
import { VeleroDouble } from "../runner/veleroDouble.ts";

/** The name that the cluster has in the settings. */
export const CLUSTER_ID = "here";
/** A storage location that the settings open to org-b alone. */
export const LOCATION_OF_B = "team-b";
/** A VolumeSnapshotClass that the settings open to org-b alone. */
export const CLASS_OF_B = "fast-b";

/** Longer than anything here takes, in milliseconds. */
const PATIENCE_MS = 180_000;
const logger = createLogger("test", "silent");

/**
 * A cluster that teams share: everything installed as it is shipped, rights and policies included. The dispatcher is at work
 * with its own token. Pods do not run: a test has the runner's program carry out a Job, with the token of the Job's account.
 */
export class SharedCluster {
  readonly cluster: StartedCluster;
  /** As an administrator. */
  readonly client: KubeClient;
  readonly velero: VeleroDouble;
  /** Kubeconfigs. Ann may edit org-a, Bob org-b, and nothing else. */
  readonly users: Readonly<Record<"ann" | "bob", string>>;
  /** Kubeconfigs with the tokens of the service accounts. */
  readonly accounts: Readonly<Record<"dispatcher" | "backupRunner" | "restoreRunner", string>>;
  readonly #dispatcherEnv: NodeJS.ProcessEnv;
  dispatcher: DispatcherProcess;

  private constructor(
    cluster: StartedCluster,
    users: SharedCluster["users"],
    accounts: SharedCluster["accounts"],
    env: NodeJS.ProcessEnv,
  ) {
    this.cluster = cluster;
    this.client = connect({ KUBECONFIG: cluster.kubeconfig }, { component: "test", version: "0" });
    this.velero = new VeleroDouble(this.client, VELERO_NAMESPACE);
    this.users = users;
    this.accounts = accounts;
    this.#dispatcherEnv = {
      KUBECONFIG: accounts.dispatcher,
      POD_NAMESPACE: SYSTEM_NAMESPACE,
      OPERATION_RUNNER_LISTEN: "127.0.0.1:0",
      OPERATION_RUNNER_CLUSTER_ID: CLUSTER_ID,
      // Closed: what is not listed is nobody's.
      OPERATION_RUNNER_STORAGE_LOCATIONS_CLOSED: "true",
      OPERATION_RUNNER_STORAGE_LOCATIONS: `{${LOCATION_OF_B}: [org-b], default: [org-a, org-b]}`,
      OPERATION_RUNNER_SNAPSHOT_CLASSES_CLOSED: "true",
      OPERATION_RUNNER_SNAPSHOT_CLASSES: `{${CLASS_OF_B}: [org-b]}`,
      // Nobody plays Velero here: what waits for it would wait for ever.
      OPERATION_RUNNER_LIMITS_CONCURRENT_BACKUPS: "1000",
      ...env,
    };
    this.dispatcher = new DispatcherProcess(this.#dispatcherEnv);
  }

  /** @param env laid over the dispatcher's environment */
  static async open(env: NodeJS.ProcessEnv = {}): Promise<SharedCluster> {
    const cluster = await startCluster({ tier: "api", env: process.env, progress: () => undefined });
    for (const folder of ["velero", "components/application-instance-crd", ""]) {
      await cluster.apply(path.join("manifests", folder));
    }
    await waitFor(cluster, ["crd", "--all"], "condition=Established");
    const account = (name: string) => accountKubeconfig(cluster, `operation-${name}`);
    const accounts = {
      dispatcher: await account("dispatcher"),
      backupRunner: await account("backup-runner"),
      restoreRunner: await account("restore-runner"),
    };
    const users = { ann: await cluster.user("ann"), bob: await cluster.user("bob") };
    await cluster.apply([...team("org-a", "ann"), ...team("org-b", "bob")]);
    const shared = new SharedCluster(cluster, users, accounts, env);
    await shared.#inForce();
    return shared;
  }

  async close(): Promise<void> {
    await this.dispatcher.stop("SIGKILL");
    await this.velero.stop();
    await this.cluster.down();
  }

  /** Ends the dispatcher, however it is, and starts another one. */
  async restartDispatcher(): Promise<void> {
    await this.dispatcher.stop("SIGKILL");
    this.dispatcher = new DispatcherProcess(this.#dispatcherEnv);
  }

  /** Fails if the dispatcher has ended. */
  async dispatcherRuns(): Promise<void> {
    const { ok } = await fetch(`${await this.dispatcher.url()}/healthz`);
    expect(ok).toBe(true);
  }

  /** A client with the token of a service account. */
  as(account: keyof SharedCluster["accounts"]): KubeClient {
    return connect({ KUBECONFIG: this.accounts[account] }, { component: "thief", version: "0" });
  }

  /** What kubectl answers to whom that kubeconfig belongs, when they create an object. */
  async create(object: object, as: string): Promise<Result> {
    return await this.cluster.kubectl(["create", "-f", "-"], { as, input: JSON.stringify(object) });
  }

  /** Has a runner carry out an Operation's Job; resolves with its exit code. */
  async carryOut(namespace: string, name: string): Promise<number> {
    const job = await jobOf(this.client, namespace, name);
    const isRestore = job.metadata.labels?.["app.kubernetes.io/component"] === "restore-runner";
    return await runner({
      ...runnerEnv(job, namespace, name),
      KUBECONFIG: isRestore ? this.accounts.restoreRunner : this.accounts.backupRunner,
      CLUSTER_ID,
      LOG_LEVEL: "silent",
    });
  }

  /** Waits until an Operation's status meets the condition. */
  async until(
    namespace: string,
    name: string,
    condition: (operation: Operation) => boolean,
    patienceMs: number = PATIENCE_MS,
  ): Promise<Operation> {
    const signal = AbortSignal.timeout(patienceMs);
    const met = (operation: Operation | undefined) => operation !== undefined && condition(operation);
    const options = { signal, logger, clock: systemClock };
    const found = await awaitCondition(this.client, operations, { namespace, name }, met, options);
    if (found === undefined) throw new Error(`no Operation ${namespace}/${name}`);
    return found;
  }

  /** Why an Operation was refused, once it was: `Reason: message` of the condition that says so. */
  async refusal(namespace: string, name: string): Promise<string> {
    const { status } = await this.until(
      namespace,
      name,
      (operation) =>
        isTerminal(operation.status?.phase) ||
        conditionOf(operation.status, ConditionType.accepted)?.status === "False",
    );
    const failed = conditionOf(status, ConditionType.failed) ?? conditionOf(status, ConditionType.accepted);
    return `${failed?.reason}: ${failed?.message}`;
  }

  /** An ApplicationInstance, as the platform makes them. */
  async target(namespace: string, name: string, release?: string): Promise<void> {
    const spec = release === undefined ? {} : { release: { name, namespace: release } };
    await this.client.create(applicationInstances, { metadata: { namespace, name }, spec });
  }

  /** Rights and policies take effect a moment after they were applied. */
  async #inForce(): Promise<void> {
    const operation = (mapping: Record<string, string>) =>
      restoreOperation({
        namespace: "org-a",
        name: "probe",
        parameters: { backupName: "b", namespaceMapping: mapping },
      });
    const probe = async (mapping: Record<string, string>) =>
      await this.cluster.kubectl(["create", "--dry-run=server", "-f", "-"], {
        as: this.users.ann,
        input: JSON.stringify(operation(mapping)),
      });
    const patience = { timeout: PATIENCE_MS };
    await vi.waitFor(async () => expect(await probe({})).toMatchObject({ code: 0 }), patience);
    await vi.waitFor(async () => expect(await probe({ "org-b": "org-a" })).toMatchObject({ code: 1 }), patience);
  }
}

/** A team's namespace, and one who may edit it. */
function team(namespace: string, user: string): object[] {
  const rbac = "rbac.authorization.k8s.io";
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    {
      apiVersion: `${rbac}/v1`,
      kind: "RoleBinding",
      metadata: { name: "team", namespace },
      roleRef: { apiGroup: rbac, kind: "ClusterRole", name: "edit" },
      subjects: [{ apiGroup: rbac, kind: "User", name: user }],
    },
  ];
}

/** The path of a kubeconfig with a service account's own token; it lies among the cluster's files. */
async function accountKubeconfig(cluster: StartedCluster, name: string): Promise<string> {
  const { server, token } = await identityOf(cluster, name);
  const file = path.join(cluster.connection.folder, name);
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "shared",
        cluster: { server: server.url, "certificate-authority-data": Buffer.from(server.ca).toString("base64") },
      },
    ],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: "shared", user: name } }],
    "current-context": name,
  };
  await writeFile(file, stringify(config), { mode: 0o600 });
  return file;
}
