import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ApiException, type CoreV1Api, type V1Pod, type V1PodStatus } from "@kubernetes/client-node";
import type { Logger } from "pino";
import { logFile, type PodSetting, runContainer } from "./container.ts";
import { errorLine } from "./errorLine.ts";
import type { Images } from "./images.ts";
import { namespaceObjects } from "./objects.ts";
import { containerPorts } from "./ports.ts";
import type { RunningProcess } from "./process.ts";
import { type ContainerRecord, firstRecord, podStatus, type Verdict } from "./status.ts";
import { createStatusWriter, type StatusWriter } from "./statusWriter.ts";
import { keepToken, requestToken } from "./token.ts";
import { makeVolumes, type Volumes } from "./volumes.ts";

/** Milliseconds that Node's timers can wait; nothing here lives that long. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** What a pod needs from its node. */
export interface PodDependencies {
  core: CoreV1Api;
  /** Address of the API server. */
  server: string;
  /** Folder of all pods; each gets its own below. */
  root: string;
  images: Images;
  /** PATH of every process. */
  searchPath: string;
  /** Hands out free loopback ports. */
  freePort: () => Promise<number>;
  log: Logger;
}

/** One pod on this node, from the moment it is bound until nothing is left of it. */
export class NodePod {
  readonly #dependencies: PodDependencies;
  readonly #folder: string;
  readonly #init: ContainerRecord[];
  readonly #main: ContainerRecord[];
  readonly #startTime: Date;
  readonly #log: Logger;
  readonly #writer: StatusWriter;
  /** Aborts when the pod is to end, whoever asked for it. */
  readonly #ending = new AbortController();
  /** Aborts when the node stops: from then on nothing is reported. */
  readonly #silent = new AbortController();
  readonly #processes = new Map<string, RunningProcess>();
  readonly #done: Promise<void>;
  #pod: V1Pod;
  #status: V1PodStatus | undefined;
  #finished = false;
  #verdict: Verdict | undefined;
  #endings: Promise<void>[] = [];
  #deletion: Promise<void> | undefined;

  constructor(pod: V1Pod, dependencies: PodDependencies) {
    const { name = "", namespace = "", uid = "" } = pod.metadata ?? {};
    const { status, spec } = pod;
    const seen = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
    const record = (policy: string | undefined) => (container: NonNullable<typeof spec>["containers"][number]) =>
      firstRecord(
        container,
        policy,
        seen.find((each) => each.name === container.name),
      );
    this.#pod = pod;
    this.#dependencies = dependencies;
    this.#folder = join(dependencies.root, `${namespace}_${name}_${uid}`);
    this.#init = (spec?.initContainers ?? []).map(record(initPolicy(pod)));
    this.#main = (spec?.containers ?? []).map(record(spec?.restartPolicy));
    this.#startTime = status?.startTime === undefined ? new Date() : new Date(status.startTime);
    this.#status = status;
    this.#log = dependencies.log.child({ pod: `${namespace}/${name}` });
    this.#writer = createStatusWriter(dependencies.core, pod, this.#log, this.#silent.signal);
    this.#done = isTerminal(pod) ? Promise.resolve() : this.#live();
    this.changed(pod);
  }

  /** The pod as the API server showed it last. */
  get pod(): V1Pod {
    return this.#pod;
  }

  /** Takes note of the pod's new shape in the API server; a deletion ends it with its grace period. */
  changed(pod: V1Pod): void {
    this.#pod = pod;
    if (pod.metadata?.deletionTimestamp === undefined) return;
    this.#end(graceOf(pod));
    this.#deletion ??= this.#done.then(() => this.#delete());
  }

  /** The pod is no longer in the API server. Resolves when its processes and its files, but for the logs, are gone. */
  async removed(last: V1Pod): Promise<void> {
    this.#silent.abort();
    this.#end(graceOf(last));
    await this.#quiet();
    await this.#clean();
  }

  /** Ends the pod as a node under pressure does. Resolves when that is reported. */
  async evict(): Promise<void> {
    const message = "The node was low on resource: memory.";
    this.#judge({
      reason: "Evicted",
      message,
      condition: { type: "DisruptionTarget", reason: "TerminationByKubelet", message },
    });
    await this.#done;
  }

  /** Signals the process of one container, or of every running one. Throws when there is none. */
  kill(signal: NodeJS.Signals, container?: string): void {
    const targets = [...this.#processes].filter(([name]) => container === undefined || name === container);
    if (targets.length === 0)
      throw new Error(`no running container ${container ?? ""} in pod ${this.#pod.metadata?.name}`);
    for (const [, process] of targets) process.signal(signal);
  }

  /** The log of a container's present or previous run, and whether more may still come. */
  log(container: string, previous: boolean): { file: string; live: () => boolean } | undefined {
    const record = [...this.#init, ...this.#main].find(({ spec }) => spec.name === container);
    if (record === undefined) return undefined;
    const run = record.restartCount - (previous ? 1 : 0);
    return { file: logFile(this.#folder, container, run), live: () => !previous && this.#processes.has(container) };
  }

  /** The node stops: kills the processes, without a word to the API server. */
  async stop(): Promise<void> {
    this.#silent.abort();
    this.#end(0);
    await this.#quiet();
  }

  async #quiet(): Promise<void> {
    await this.#done;
    await Promise.all(this.#endings);
  }

  #judge(verdict: Verdict): void {
    if (this.#ending.signal.aborted) return;
    this.#verdict = verdict;
    this.#end((this.#pod.spec?.terminationGracePeriodSeconds ?? 30) * 1000);
  }

  #end(graceMs: number): void {
    this.#ending.abort();
    // Asking again shortens the wait, as a second deletion with a smaller grace period does.
    this.#endings = [...this.#processes.values()].map((process) => process.end(graceMs));
  }

  async #live(): Promise<void> {
    const lifetime = new AbortController();
    void this.#enforceDeadline(lifetime.signal);
    // The pod must be known to its node before its constructor's caller goes on, but nothing may run before that.
    await Promise.resolve();
    try {
      await this.#run(lifetime.signal);
    } catch (error) {
      this.#log.error({ err: error }, "pod broke its node: a bug in the process node");
    }
    await Promise.all(this.#endings);
    lifetime.abort();
    this.#finished = this.#ending.signal.aborted;
    this.#publish();
    await this.#writer.written();
  }

  async #run(lifetime: AbortSignal): Promise<void> {
    this.#publish();
    const volumes = await this.#prepare();
    if (volumes === undefined) return;
    for (const { file, projection, issued } of volumes.tokens) {
      const request = () => requestToken(this.#dependencies.core, this.#pod, projection);
      void keepToken(file, issued, request, this.#log, lifetime);
    }
    const setting = await this.#setting(volumes);
    for (const record of this.#init) {
      await this.#contain(setting, record, initPolicy(this.#pod));
      if (record.state.terminated?.exitCode !== 0) return;
    }
    await Promise.all(this.#main.map((record) => this.#contain(setting, record, this.#pod.spec?.restartPolicy)));
  }

  async #contain(setting: PodSetting, record: ContainerRecord, policy: string | undefined): Promise<void> {
    const { name } = record.spec;
    await runContainer(setting, record, policy, (process) => {
      this.#processes.set(name, process);
      void process.exited.then(() => this.#processes.delete(name));
    });
  }

  /** Makes folder and volumes, waiting for missing objects; undefined when the pod ends first. */
  async #prepare(): Promise<Volumes | undefined> {
    const { core } = this.#dependencies;
    const token = (projection: Parameters<typeof requestToken>[2]) => requestToken(core, this.#pod, projection);
    const sources = { ...namespaceObjects(core, this.#pod.metadata?.namespace ?? ""), token };
    while (!this.#ending.signal.aborted) {
      try {
        await mkdir(this.#folder, { recursive: true });
        return await makeVolumes(this.#pod, join(this.#folder, "volumes"), sources);
      } catch (error) {
        this.#log.warn({ reason: errorLine(error) }, "FailedMount: volumes not ready, trying again");
        await delay(500, undefined, { signal: this.#ending.signal }).catch(() => undefined);
      }
    }
    return undefined;
  }

  async #setting({ folders }: Volumes): Promise<PodSetting> {
    const { core, server, images, searchPath, freePort } = this.#dependencies;
    const ports = new Map<number, number>();
    for (const port of containerPorts(this.#pod)) ports.set(port, await freePort());
    return {
      pod: this.#pod,
      folder: this.#folder,
      volumes: folders,
      ports,
      images,
      objects: namespaceObjects(core, this.#pod.metadata?.namespace ?? ""),
      server,
      searchPath,
      log: this.#log,
      ending: this.#ending.signal,
      changed: () => this.#publish(),
    };
  }

  async #enforceDeadline(lifetime: AbortSignal): Promise<void> {
    const seconds = this.#pod.spec?.activeDeadlineSeconds;
    if (seconds === undefined) return;
    const left = this.#startTime.getTime() + seconds * 1000 - Date.now();
    if (left > LONGEST_TIMER) return;
    await delay(Math.max(0, left), undefined, { signal: lifetime }).catch(() => undefined);
    if (lifetime.aborted) return;
    this.#judge({
      reason: "DeadlineExceeded",
      message: "Pod was active on the node longer than the specified deadline",
    });
  }

  #publish(): void {
    const observed = {
      pod: this.#pod,
      startTime: this.#startTime,
      init: this.#init,
      main: this.#main,
      finished: this.#finished,
      verdict: this.#verdict,
    };
    this.#status = podStatus(observed, this.#status, new Date());
    this.#writer.set(this.#status);
  }

  /** The API object of a deleted pod goes when its node says that nothing of it runs any more. */
  async #delete(): Promise<void> {
    const { name = "", namespace = "", uid = "" } = this.#pod.metadata ?? {};
    while (!this.#silent.signal.aborted) {
      try {
        await this.#dependencies.core.deleteNamespacedPod({
          name,
          namespace,
          body: { gracePeriodSeconds: 0, preconditions: { uid } },
        });
        return;
      } catch (error) {
        if (error instanceof ApiException && (error.code === 404 || error.code === 409)) return;
        this.#log.warn({ reason: errorLine(error) }, "pod not deleted, trying again");
        await delay(300, undefined, { signal: this.#silent.signal }).catch(() => undefined);
      }
    }
  }

  /** Secrets and scratch files go with the pod; logs stay for whoever asks why a test failed. */
  async #clean(): Promise<void> {
    for (const entry of await readdir(this.#folder).catch(() => []))
      if (entry !== "logs") await rm(join(this.#folder, entry), { recursive: true, force: true });
  }
}

/** A pod in its last phase never runs again. */
export function isTerminal({ status }: V1Pod): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}

/** An init container that failed runs again unless the pod's policy is Never; one that succeeded never does. */
const initPolicy = ({ spec }: V1Pod): string => (spec?.restartPolicy === "Never" ? "Never" : "OnFailure");

/** Milliseconds that a deleted pod has left; never less than a second, as with a kubelet. */
function graceOf({ metadata, spec }: V1Pod): number {
  const seconds = metadata?.deletionGracePeriodSeconds ?? spec?.terminationGracePeriodSeconds ?? 30;
  return Math.max(1, seconds) * 1000;
}
