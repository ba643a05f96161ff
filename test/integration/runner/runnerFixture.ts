import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect } from "vitest";
import { latestRequest } from "../../../src/api/crossNamespace.ts";
import { specDigest } from "../../../src/api/digest.ts";
import { isVeleroOperation, type Operation, operations, type Status } from "../../../src/api/operation.ts";
import { DEFAULT_PLATFORM_EXCLUSIONS } from "../../../src/api/platformExclusions.ts";
import { Reason } from "../../../src/api/reasons.ts";
import {
  type ConditionChange,
  conditionOf,
  HEALTH,
  nextStatus,
  openAttempt,
  type StatusChange,
  timestamp,
} from "../../../src/api/status.ts";
import { storageLocations } from "../../../src/api/velero.ts";
import { connect, KubeClient } from "../../../src/kube/client.ts";
import { type Clock, systemClock } from "../../../src/kube/clock.ts";
import { EventRecorder } from "../../../src/kube/events.ts";
import { namespaces } from "../../../src/kube/resources.ts";
import { retry } from "../../../src/kube/retry.ts";
import { awaitCondition } from "../../../src/kube/wait.ts";
import { createLogger } from "../../../src/log.ts";
import type { RunnerContext } from "../../../src/runner/context.ts";
import { httpFetcher } from "../../../src/runner/download/fetch.ts";
import type { Ending } from "../../../src/runner/exit.ts";
import { LatestOperation } from "../../../src/runner/latestOperation.ts";
import { run } from "../../../src/runner/run.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { waitFor } from "../../scenario/platform.ts";
import { VELERO_KINDS } from "../../scenario/veleroKinds.ts";
import { Died, type Interruptions, MortalTransport } from "./mortalTransport.ts";
import { type Accounts, accountsOf, RUNNERS, shippedRights } from "./runnerAccounts.ts";
import { VeleroDouble } from "./veleroDouble.ts";

export const CLUSTER_ID = "test-cluster";

const cluster = testCluster();
const env = { KUBECONFIG: cluster.kubeconfig };
const version = { component: "test", version: "0" };
const logger = createLogger("runner-test", process.env.LOG_LEVEL ?? "silent");

/** The API server as an administrator sees it. */
export const client = connect(env, version);

/** A run in this process, which can be stopped as a killed process is: no call of it leaves after that. */
export interface Run {
  readonly ended: Promise<Ending>;
  stop(): void;
}

export interface RunOptions extends Interruptions {
  /** Default: a Job of its own. */
  readonly job?: { name?: string; uid?: string };
  /** Default: the Operation's; null for a Job made by hand. */
  readonly uid?: string | null;
  /** Default: none. */
  readonly maxRunTime?: string;
  /** Default: the machine's. */
  readonly clock?: Clock;
}

/** A namespace of a tenant, one of Velero's, and what happens in them. */
export class RunnerFixture {
  readonly namespace: string;
  readonly velero: VeleroDouble;
  readonly #accounts: Accounts;
  readonly #runs: { run: Run; abort: () => void }[] = [];
  #count = 0;

  constructor(suffix: string, accounts: Accounts) {
    this.#accounts = accounts;
    this.namespace = `org-${suffix}`;
    this.velero = new VeleroDouble(client, `velero-${suffix}`);
  }

  /** @param accounts identities of the runners' service accounts, which get the rights that are shipped */
  static async open(accounts: Accounts): Promise<RunnerFixture> {
    const suffix = randomBytes(4).toString("hex");
    for (const name of [`org-${suffix}`, `velero-${suffix}`]) await client.create(namespaces, { metadata: { name } });
    const fixture = new RunnerFixture(suffix, accounts);
    await cluster.apply(await shippedRights(fixture.velero.namespace));
    await client.create(storageLocations, {
      metadata: { name: "default", namespace: fixture.velero.namespace },
      spec: { provider: "aws", default: true, objectStorage: { bucket: "velero" } },
      status: { phase: "Available" },
    });
    return fixture;
  }

  async close(): Promise<void> {
    for (const { abort } of this.#runs) abort();
    await Promise.allSettled(this.#runs.map(({ run: { ended } }) => ended));
    await this.velero.stop();
  }

  /** An Operation as a tenant writes it; nobody has looked at it yet. */
  async request(name: string, spec: object, metadata: object = {}): Promise<Operation> {
    const target = { apiVersion: "apps.vworkspace.io/v1alpha1", kind: "ApplicationInstance", name: "shop" };
    return await client.create(operations, {
      metadata: { name, namespace: this.namespace, ...metadata },
      spec: { targetRef: target, engine: "velero", ...spec },
    });
  }

  /** An Operation that the dispatcher has admitted. */
  async admitted(name: string, spec: object, metadata: object = {}): Promise<Operation> {
    const requested = await this.request(name, spec, metadata);
    return await this.write(requested, { phase: "Pending", ...admissionOf(requested) });
  }

  /** Writes the status as the dispatcher does. */
  async write(operation: Operation, change: StatusChange): Promise<Operation> {
    const { generation } = operation.metadata;
    const status = nextStatus(operation.status, change, { now: systemClock.now(), generation });
    return await client.replaceStatus(operations, { ...operation, status }, { fieldManager: "operation-dispatcher" });
  }

  /** Opens another attempt for a Job that people made, as the dispatcher does. */
  async open(name: string, jobUid: string): Promise<Operation> {
    const operation = await this.read(name);
    const opened = openAttempt(operation.status ?? {});
    const runner = { ...opened.runner, requestedBy: [jobUid] };
    const status = nextStatus(
      opened,
      { runner },
      { now: systemClock.now(), generation: operation.metadata.generation },
    );
    return await client.replaceStatus(operations, { ...operation, status }, { fieldManager: "operation-dispatcher" });
  }

  /** Admits an attempt that was opened for a Job made by hand, as the dispatcher does. */
  async admit(name: string, attempt: number): Promise<Operation> {
    const opened = await this.until(name, ({ runner }) => runner?.attempt === attempt);
    return await this.write(opened, admissionOf(opened));
  }

  /** What Velero says of its storage location, or what its admin made of it. */
  async location(state: "Available" | "Unavailable" | "ReadOnly"): Promise<void> {
    const target = { namespace: this.velero.namespace, name: "default" };
    await client.mergePatch(storageLocations, target, {
      spec: { accessMode: state === "ReadOnly" ? state : "ReadWrite" },
      status: { phase: state === "Unavailable" ? state : "Available" },
    });
  }

  /** Waits until a run has handed the attempt back to the dispatcher. */
  async handedBack(name: string): Promise<Operation> {
    return await this.until(name, (status) => conditionOf(status, "Blocked")?.status === "True");
  }

  /** Admits an attempt again that was handed back, as the dispatcher does. */
  async readmit(name: string): Promise<void> {
    const unblocked = {
      type: "Blocked",
      status: "False",
      reason: Reason.unblocked,
      message: "no longer blocked",
    } as const;
    await this.write(await this.handedBack(name), {
      conditions: [accepted("True", Reason.templateValidated), unblocked],
    });
  }

  async read(name: string): Promise<Operation> {
    return await client.get(operations, { namespace: this.namespace, name });
  }

  async annotate(name: string, annotations: Record<string, string | null>): Promise<void> {
    await client.mergePatch(operations, { namespace: this.namespace, name }, { metadata: { annotations } });
  }

  async remove(name: string): Promise<void> {
    await client.delete(operations, { namespace: this.namespace, name });
  }

  /** Waits until the Operation's status meets the condition. */
  async until(name: string, condition: (status: Status) => boolean): Promise<Operation> {
    const options = { signal: new AbortController().signal, logger, clock: systemClock };
    const met = (operation: Operation | undefined) => operation?.status !== undefined && condition(operation.status);
    const operation = await awaitCondition(client, operations, { namespace: this.namespace, name }, met, options);
    if (operation === undefined) throw new Error(`${name} is gone`);
    return operation;
  }

  /** What a runner's process finds in its environment here, but for whom it works. */
  environment(type: keyof Accounts): Record<string, string> {
    const { kubeconfig } = this.#accounts[type];
    return { KUBECONFIG: kubeconfig, VELERO_NAMESPACE: this.velero.namespace, CLUSTER_ID };
  }

  /** Takes from the backup runner the right to create Backups here. */
  async forbidBackups(): Promise<void> {
    const { namespace } = this.velero;
    const rules = [{ apiGroups: ["velero.io"], resources: ["backups"], verbs: ["get", "list", "watch", "delete"] }];
    const patch = JSON.stringify({ rules });
    await cluster.kubectl(["patch", "role", RUNNERS.Backup, "-n", namespace, "--type=merge", "-p", patch]);
    const question = ["auth", "can-i", "create", "backups.velero.io", "-n", namespace];
    await expect
      .poll(() => cluster.kubectl(question, { as: this.#accounts.Backup.kubeconfig }))
      .toMatchObject({ code: 1 });
  }

  /** Starts a run for an Operation, as a pod of a Job would. */
  start(operation: Pick<Operation, "metadata" | "spec">, options: RunOptions = {}): Run {
    const { name, uid } = operation.metadata;
    this.#count += 1;
    const job = { name: `job-${this.#count}`, uid: `job-uid-${this.#count}`, ...options.job };
    const stop = new AbortController();
    const { config } = this.#accounts[operation.spec?.type === "Restore" ? "Restore" : "Backup"];
    const runClient = new KubeClient(new MortalTransport(config, stop, options));
    const context: RunnerContext = {
      client: runClient,
      clock: options.clock ?? systemClock,
      logger: logger.child({ operation: `${this.namespace}/${name}`, job: job.name }),
      signal: stop.signal,
      settings: {
        operation: { namespace: this.namespace, name, uid: options.uid === null ? undefined : (options.uid ?? uid) },
        job: { ...job, namespace: "vworkspace-system" },
        veleroNamespace: this.velero.namespace,
        clusterId: CLUSTER_ID,
        restoreExcludedResources: DEFAULT_PLATFORM_EXCLUSIONS,
        hideVeleroMessages: false,
        requestWindowMs: 900_000,
        maxRunTime: options.maxRunTime,
        terminationMessagePath: "/dev/null",
      },
      events: new EventRecorder(runClient, logger, {
        component: "operation-runner",
        controller: "ops.vworkspace.io/test",
        instance: job.name,
      }),
      latest: new LatestOperation(),
      fetcher: httpFetcher({}),
    };
    const ended = run(context);
    ended.catch(() => undefined);
    const abort = () => stop.abort(new Died("killed"));
    const started = { ended, stop: abort };
    this.#runs.push({ run: started, abort });
    return started;
  }
}

/** Fixtures for the tests of one file; each test opens its own. */
export function runnerFixtures(): () => Promise<RunnerFixture> {
  const open: RunnerFixture[] = [];
  let accounts: Accounts | undefined;
  beforeAll(async () => {
    await cluster.apply("manifests/crds");
    await cluster.apply("manifests/velero/crds.yaml");
    await waitFor(cluster, ["crd", "--all"], "condition=Established");
    // A CRD that has just been installed answers "storage is (re)initializing" for a moment.
    const patience = { signal: new AbortController().signal, logger, clock: systemClock };
    await Promise.all([operations, ...VELERO_KINDS].map((kind) => retry(() => client.list(kind), patience)));
  });
  afterAll(async () => {
    for (const fixture of open) await fixture.close();
  });
  return async () => {
    accounts ??= await accountsOf(cluster);
    const fixture = await RunnerFixture.open(accounts);
    open.push(fixture);
    return fixture;
  };
}

/** What the dispatcher writes of an Operation that it admits. */
function admissionOf(operation: Operation): StatusChange {
  if (!isVeleroOperation(operation)) throw new Error("not an Operation of ours");
  const request = latestRequest(operation, operation.status?.request, timestamp(systemClock.now()));
  return {
    conditions: [accepted("True", Reason.templateValidated)],
    admittedSpec: specDigest(operation.spec),
    ...(request && { request }),
  };
}

export function accepted(status: "True" | "False", reason: string): ConditionChange {
  return { type: "Accepted", status, reason, message: "as the dispatcher says" };
}

/** Conditions without what differs from run to run. */
export function conditionsOf(operation: Operation): Record<string, string> {
  const all = (operation.status?.conditions ?? []).filter(({ type }) => !HEALTH.has(type));
  return Object.fromEntries(all.map(({ type, status, reason }) => [type, `${status}/${reason}`]));
}
