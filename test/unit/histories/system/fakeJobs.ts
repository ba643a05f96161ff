import * as z from "zod";
import { Label } from "../../../../src/api/labels.ts";
import type { Clock } from "../../../../src/kube/clock.ts";
import { jobHasEnded } from "../../../../src/kube/jobStatus.ts";
import { type Job, jobs, type Pod, pods } from "../../../../src/kube/resources.ts";
import type { FakeApiServer } from "./fakeApiServer.ts";

const jobSpecSchema = z.looseObject({
  backoffLimit: z.number(),
  template: z.looseObject({
    metadata: z.looseObject({ labels: z.record(z.string(), z.string()) }),
    spec: z.looseObject({
      containers: z.array(
        z.looseObject({
          name: z.string(),
          env: z.array(
            z.looseObject({
              name: z.string(),
              value: z.string().optional(),
              valueFrom: z.object({ fieldRef: z.object({ fieldPath: z.string() }) }).optional(),
            }),
          ),
        }),
      ),
    }),
  }),
});

const DELAY_MS = 20;

/** A container at work, as the kubelet sees it. */
export interface Container {
  /** Resolves with the exit code once it ends by itself. */
  readonly exit: Promise<number>;
  /** SIGTERM. */
  stop(): void;
  /** SIGKILL. */
  kill(): void;
}

interface RunningPod {
  readonly name: string;
  readonly jobUid: string;
  readonly container: Container;
  evicted: boolean;
}

/** The Job controller and a kubelet, as far as pods that run the runner need them, on the {@link FakeApiServer}. */
export class FakeJobs {
  readonly running = new Map<string, RunningPod>();
  readonly #api: FakeApiServer;
  readonly #clock: Clock;
  readonly #namespace: string;
  #due = false;
  #rejecting = 0;
  readonly #start: (env: NodeJS.ProcessEnv, pod: string) => Container;

  /** @param start runs the pod's one container with that environment */
  constructor(
    api: FakeApiServer,
    clock: Clock,
    namespace: string,
    start: (env: NodeJS.ProcessEnv, pod: string) => Container,
  ) {
    this.#api = api;
    this.#clock = clock;
    this.#namespace = namespace;
    this.#start = start;
    api.onWrite(({ plural, before, after }) => {
      if (plural !== jobs.plural) return;
      if (after === undefined && before !== undefined) this.#collect(before.metadata.uid);
      this.#later();
    });
  }

  /** Gives every Job that needs one a pod. */
  #reconcile(): void {
    for (const job of this.#api.list(jobs)) {
      if (!jobHasEnded(job) && job.spec?.suspend !== true && (job.status?.active ?? 0) === 0) this.#createPod(job);
    }
  }

  /** A queue holds a Job back, or lets it go on. What runs of it is asked to end, which costs no retry. */
  suspend({ metadata: { name, namespace, uid } }: Job, suspend: boolean): void {
    const conditions = suspend ? [{ type: "Suspended", status: "True", reason: "JobSuspended" }] : [];
    this.#api.patch(
      "queue",
      jobs.plural,
      { namespace, name },
      { spec: { suspend }, status: { active: 0, conditions } },
    );
    for (const pod of this.running.values()) if (pod.jobUid === uid) pod.evicted = true;
    if (suspend) this.#collect(uid);
  }

  /** So many pods that are still to come are rejected by their node: they never run, and count as failed. */
  reject(pods: number): void {
    this.#rejecting = pods;
  }

  /**
   * Ends a pod: killed as by an out-of-memory killer, evicted at once by its node, or asked to go. The last two cost no
   * retry.
   */
  end(pod: string, how: "killed" | "evicted" | "drained"): void {
    const found = this.running.get(pod);
    if (found === undefined) return;
    if (how !== "killed") found.evicted = true;
    if (how === "drained") {
      found.container.stop();
    } else {
      found.container.kill();
      this.#ended(found, 137);
    }
  }

  /** Soon, as a controller does; everything that is due by then is one. */
  #later(): void {
    if (this.#due) return;
    this.#due = true;
    void this.#clock.sleep(DELAY_MS).then(() => {
      this.#due = false;
      this.#reconcile();
    });
  }

  #createPod(job: Job): void {
    const { name, uid, namespace } = job.metadata;
    const { template } = jobSpecSchema.parse(job.spec);
    const labels = { ...template.metadata.labels, [Label.jobName]: name, [Label.jobUid]: uid };
    const { metadata } = this.#api.create("jobs", pods, {
      metadata: { generateName: `${name}-`, namespace: this.#namespace, labels },
    });
    if (this.#rejecting > 0) {
      this.#rejecting -= 1;
      this.#api.patch("jobs", pods.plural, metadata, { status: { phase: "Failed", reason: "OutOfcpu" } });
      this.#judge(job, 128, false);
      return;
    }
    const containerStatuses = [{ name: "runner", state: { running: {} } }];
    this.#api.patch("jobs", pods.plural, metadata, { status: { phase: "Running", containerStatuses } });
    const status = { active: 1, startTime: job.status?.startTime ?? this.#api.now() };
    this.#api.patch("jobs", jobs.plural, { namespace, name }, { status });
    const fields: Record<string, string> = {
      "metadata.name": metadata.name,
      "metadata.namespace": this.#namespace,
      [`metadata.labels['${Label.jobName}']`]: name,
      [`metadata.labels['${Label.jobUid}']`]: uid,
    };
    const env = Object.fromEntries(
      (template.spec.containers[0]?.env ?? []).map((one) => [
        one.name,
        one.value ?? fields[one.valueFrom?.fieldRef.fieldPath ?? ""],
      ]),
    );
    const pod = { name: metadata.name, jobUid: uid, container: this.#start(env, metadata.name), evicted: false };
    this.running.set(metadata.name, pod);
    void pod.container.exit.then((code) => this.#ended(pod, code));
  }

  #ended(pod: RunningPod, exitCode: number): void {
    if (!this.running.delete(pod.name)) return;
    const target = { namespace: this.#namespace, name: pod.name };
    const stored = this.#api.find(pods.plural, target);
    if (stored?.metadata.deletionTimestamp !== undefined) {
      this.#api.patch("jobs", pods.plural, target, { metadata: { finalizers: [] } });
    } else if (stored !== undefined) {
      this.#api.patch("jobs", pods.plural, target, { status: podStatus(exitCode, pod.evicted) });
    }
    const job = this.#api.list(jobs).find(({ metadata }) => metadata.uid === pod.jobUid);
    if (job !== undefined) this.#judge(job, exitCode, pod.evicted);
  }

  #judge({ metadata, spec, status }: Job, exitCode: number, evicted: boolean): void {
    const lastTransitionTime = this.#api.now();
    const ended = (type: "Complete" | "Failed", reason: string) => ({
      conditions: [{ type, status: "True", reason, lastTransitionTime }],
    });
    const failed = (status?.failed ?? 0) + (exitCode === 0 || evicted ? 0 : 1);
    const end =
      exitCode === 0
        ? { succeeded: 1, ...ended("Complete", "CompletionsReached") }
        : exitCode === 2 && !evicted
          ? ended("Failed", "PodFailurePolicy")
          : failed > (spec?.backoffLimit ?? 0)
            ? ended("Failed", "BackoffLimitExceeded")
            : {};
    this.#api.patch("jobs", jobs.plural, metadata, { status: { active: 0, failed, ...end } });
  }

  /** The pods of a Job that is gone: those that run are asked to end. */
  #collect(jobUid: string): void {
    for (const pod of this.#api.list(pods).filter(({ metadata }) => metadata.labels?.[Label.jobUid] === jobUid)) {
      const running = this.running.get(pod.metadata.name);
      if (running !== undefined) {
        this.#api.patch("jobs", pods.plural, pod.metadata, { metadata: { finalizers: ["kubelet"] } });
        running.container.stop();
      }
      this.#api.delete("jobs", pods.plural, pod.metadata);
    }
  }
}

function podStatus(exitCode: number, evicted: boolean): Pod["status"] {
  const state = { terminated: { exitCode, reason: exitCode === 0 ? "Completed" : "Error" } };
  const disrupted = {
    type: "DisruptionTarget",
    status: "True",
    reason: "TerminationByKubelet",
    message: "node pressure",
  };
  return {
    phase: exitCode === 0 ? "Succeeded" : "Failed",
    containerStatuses: [{ name: "runner", state }],
    ...(evicted && { conditions: [disrupted] }),
  };
}
