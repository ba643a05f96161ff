import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import pino from "pino";
import { expect } from "vitest";
import { parseAllDocuments } from "yaml";
import { applicationInstances } from "../../../src/api/applicationInstance.ts";
import { jobName } from "../../../src/api/names.ts";
import { type Operation, operations } from "../../../src/api/operation.ts";
import { nextStatus, type StatusChange } from "../../../src/api/status.ts";
import { connect, type KubeClient, type ObjectName } from "../../../src/kube/client.ts";
import { systemClock } from "../../../src/kube/clock.ts";
import { isConflict } from "../../../src/kube/errors.ts";
import type { KubeObject } from "../../../src/kube/metadata.ts";
import type { Resource } from "../../../src/kube/resource.ts";
import { configMaps, events, type Job, jobs, namespaces } from "../../../src/kube/resources.ts";
import { awaitCondition } from "../../../src/kube/wait.ts";
import { watchResource } from "../../../src/kube/watch.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import { waitFor } from "../../scenario/platform.ts";
import { DispatcherProcess } from "./dispatcherProcess.ts";

const silent = pino({ level: "silent" });

/** How long a test waits for what must come; it comes much sooner, or it is broken. */
const PATIENCE_MS = 60_000;

export interface Request {
  readonly name: string;
  readonly namespace?: string;
  readonly type?: "Backup" | "Restore";
  readonly target?: string;
  readonly parameters?: Record<string, unknown>;
  readonly approvals?: Record<string, unknown>;
  readonly annotations?: Record<string, string>;
}

/** What every dispatcher test needs in the cluster, once. */
export async function installApis(cluster: Cluster, { snapshots }: { snapshots: boolean }): Promise<void> {
  await cluster.apply("manifests/crds");
  await cluster.apply("manifests/velero/crds.yaml");
  const optional = ["manifests/components/application-instance-crd", "manifests/velero/snapshot-crds.yaml"];
  for (const manifest of snapshots ? optional : []) await cluster.apply(manifest);
  await waitFor(cluster, ["crd", "--all"], "condition=Established");
}

/**
 * Namespaces of a test's own, for a dispatcher of its own with the shipped rights: test files share one cluster. The test
 * plays the runner's part and Velero's.
 */
export class DispatcherFixture {
  readonly client: KubeClient;
  readonly tenant: string;
  /** More of the kind of {@link tenant}; the dispatcher looks after all of them. */
  readonly otherTenants: readonly string[];
  readonly jobNamespace: string;
  readonly veleroNamespace: string;
  readonly #id: string;
  readonly #kubeconfig: string;
  readonly #processes: DispatcherProcess[] = [];

  private constructor(client: KubeClient, id: string, kubeconfig: string) {
    this.client = client;
    this.tenant = `org-${id}`;
    this.otherTenants = ["b", "c"].map((suffix) => `org-${id}-${suffix}`);
    this.jobNamespace = `system-${id}`;
    this.veleroNamespace = `velero-${id}`;
    this.#id = id;
    this.#kubeconfig = kubeconfig;
  }

  static async open(cluster: Cluster): Promise<DispatcherFixture> {
    const id = randomBytes(4).toString("hex");
    const client = connect({ KUBECONFIG: cluster.kubeconfig }, { component: "test", version: "0.0.0" });
    const fixture = new DispatcherFixture(client, id, await cluster.user(`dispatcher-${id}`));
    for (const name of [fixture.tenant, ...fixture.otherTenants, fixture.jobNamespace, fixture.veleroNamespace]) {
      await client.create(namespaces, { metadata: { name } });
    }
    await cluster.apply(await fixture.#rights("manifests/base/rbac-dispatcher.yaml"));
    // Without its account no pod is let in, which the dispatcher would tell.
    const accounts = ["operation-backup-runner", "operation-restore-runner"].map((name) => {
      return { apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace: fixture.jobNamespace } };
    });
    await cluster.apply(accounts);
    const data: Record<string, string> = {};
    for (const file of ["backup.yaml", "restore.yaml"]) data[file] = await readFile(`jobs/${file}`, "utf8");
    await client.create(configMaps, { metadata: { name: "operation-jobs", namespace: fixture.jobNamespace }, data });
    return fixture;
  }

  /** What makes a dispatcher this fixture's. */
  get settings() {
    const namespaces = [this.tenant, ...this.otherTenants];
    return { namespaces, jobNamespace: this.jobNamespace, veleroNamespace: this.veleroNamespace };
  }

  /** Starts a dispatcher for this fixture. `settings` are environment overrides. */
  dispatcher(settings: NodeJS.ProcessEnv = {}): DispatcherProcess {
    const started = new DispatcherProcess({
      KUBECONFIG: this.#kubeconfig,
      OPERATION_RUNNER_LISTEN: "127.0.0.1:0",
      OPERATION_RUNNER_NAMESPACES: `[${this.settings.namespaces}]`,
      OPERATION_RUNNER_VELERO_NAMESPACE: this.veleroNamespace,
      OPERATION_RUNNER_LOG_LEVEL: "debug",
      // Nobody plays Velero here: what waits for it would wait for ever.
      OPERATION_RUNNER_LIMITS_CONCURRENT_BACKUPS: "1000",
      POD_NAMESPACE: this.jobNamespace,
      POD_NAME: `dispatcher-${this.#processes.length}`,
      ...settings,
    });
    this.#processes.push(started);
    return started;
  }

  /** Lets this fixture's dispatchers write targets, as the component pause-target does. */
  async allowPause(cluster: Cluster): Promise<void> {
    await cluster.apply(await this.#rights("manifests/components/pause-target/rbac.yaml"));
  }

  /** Lets this fixture's dispatchers delete Operations, as the component retention does. */
  async allowRetention(cluster: Cluster): Promise<void> {
    await cluster.apply(await this.#rights("manifests/components/retention/rbac.yaml"));
  }

  /** Ends every dispatcher of this fixture. */
  async close(): Promise<void> {
    await Promise.all(this.#processes.map((each) => each.stop("SIGKILL")));
  }

  async target(name = "shop", ready: "True" | "False" = "True", namespace = this.tenant): Promise<void> {
    const metadata = { name, namespace };
    const existing = await this.client
      .create(applicationInstances, { metadata, spec: {} })
      .catch(() => this.client.get(applicationInstances, metadata));
    const condition = {
      type: "Ready",
      status: ready,
      reason: "Test",
      message: "",
      lastTransitionTime: "2026-01-01T00:00:00Z",
    };
    await this.client.replaceStatus(applicationInstances, { ...existing, status: { conditions: [condition] } });
  }

  async operation({
    name,
    namespace = this.tenant,
    target = "shop",
    annotations = {},
    ...request
  }: Request): Promise<Operation> {
    const { type = "Backup", parameters = {}, approvals } = request;
    return await this.client.create(operations, {
      metadata: { name, namespace, annotations },
      spec: {
        targetRef: { apiVersion: "apps.vworkspace.io/v1alpha1", kind: "ApplicationInstance", name: target },
        type,
        engine: "velero",
        parameters,
        ...(approvals && { approvals }),
      },
    });
  }

  /** Waits until an object of the fixture meets a condition; a failure shows how it was last seen. */
  async until<T extends KubeObject>(
    resource: Resource<T>,
    object: ObjectName,
    condition: (object: T | undefined) => boolean,
  ): Promise<T | undefined> {
    let last: T | undefined;
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const see = (seen: T | undefined) => {
      last = seen;
      return condition(seen);
    };
    try {
      return await awaitCondition(this.client, resource, object, see, { signal, logger: silent, clock: systemClock });
    } catch (error) {
      expect.fail(`${resource.kind} ${object.name} never met the condition; it is ${JSON.stringify(last)} (${error})`);
    }
  }

  /** Waits for a condition of an Operation, `Type=Status/Reason`, and returns the Operation. */
  async says(name: string, wanted: string): Promise<Operation> {
    const found = await this.until(operations, { namespace: this.tenant, name }, (operation) =>
      (operation?.status?.conditions ?? []).some(
        ({ type, status, reason }) => `${type}=${status}/${reason}` === wanted,
      ),
    );
    if (found === undefined) throw new Error(`no Operation ${name}`);
    return found;
  }

  /** Waits for the Job of an Operation's attempt. */
  async job({ metadata: { name, uid } }: Operation, attempt = 1): Promise<Job> {
    const object = { namespace: this.jobNamespace, name: jobName({ name, uid }, attempt) };
    const found = await this.until(jobs, object, (job) => job !== undefined);
    if (found === undefined) throw new Error(`no Job ${object.name}`);
    return found;
  }

  async jobNames(): Promise<string[]> {
    const { items } = await this.client.list(jobs, { namespace: this.jobNamespace });
    return items.map(({ metadata }) => metadata.name).sort();
  }

  /** Waits for an Event of that reason in the tenant's namespace. */
  async announced(reason: string): Promise<KubeObject> {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const watch = watchResource(this.client, events, {
      namespace: this.tenant,
      signal,
      logger: silent,
      clock: systemClock,
    });
    for await (const event of watch) {
      if (event.type !== "synced" && event.object.reason === reason) return event.object;
    }
    throw new Error(`no Event ${reason}`);
  }

  /** Writes a status as a runner would. */
  async report(name: string, change: StatusChange, namespace = this.tenant): Promise<void> {
    for (;;) {
      const operation = await this.client.get(operations, { namespace, name });
      const context = { now: new Date(), generation: operation.metadata.generation };
      const status = nextStatus(operation.status, change, context);
      if (isDeepStrictEqual(status, operation.status)) return;
      try {
        await this.client.replaceStatus(operations, { ...operation, status });
        return;
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
    }
  }

  /** The end of an Operation, as its runner would write it. */
  async succeed(name: string, namespace = this.tenant): Promise<void> {
    const conditions = [
      { type: "Running", status: "False", reason: "VeleroBackupSucceeded", message: "" },
      { type: "Succeeded", status: "True", reason: "VeleroBackupCompleted", message: "done" },
    ] as const;
    await this.report(name, { phase: "Succeeded", conditions }, namespace);
  }

  /** The dispatcher's shipped rights, for this fixture's namespaces and this fixture's user. */
  async #rights(manifest: string): Promise<object[]> {
    const text = (await readFile(manifest, "utf8"))
      .replaceAll("namespace: vworkspace-system", `namespace: ${this.jobNamespace}`)
      .replaceAll("namespace: velero", `namespace: ${this.veleroNamespace}`)
      .replaceAll(/^( +)name: (operation-dispatcher(?:-pause)?)$/gm, `$1name: $2-${this.#id}`)
      .replaceAll(
        /subjects:\n(?: +.*\n?)+/g,
        `subjects:\n  - {kind: User, apiGroup: rbac.authorization.k8s.io, name: dispatcher-${this.#id}}\n`,
      );
    return parseAllDocuments(text).map((document) => document.toJS());
  }
}
