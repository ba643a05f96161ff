import { isDeepStrictEqual } from "node:util";
import * as z from "zod";
import { Annotation } from "../../../../src/api/labels.ts";
import {
  attemptOf,
  isTerminal,
  jobsOfAttempt,
  type Operation,
  operationSchema,
  type Status,
} from "../../../../src/api/operation.ts";
import { Reason } from "../../../../src/api/reasons.ts";
import { conditionOf, isAdmitted } from "../../../../src/api/status.ts";
import {
  backupSchema,
  deleteBackupRequestSchema,
  isRestorable,
  type VeleroObject,
} from "../../../../src/api/velero.ts";
import { jobHasEnded } from "../../../../src/kube/jobStatus.ts";
import type { KubeObject } from "../../../../src/kube/metadata.ts";
import { jobs } from "../../../../src/kube/resources.ts";
import type { Write } from "./fakeApiServer.ts";
import type { FakeConnection } from "./fakeConnection.ts";
import { type FakeVelero, ownerOf } from "./fakeVelero.ts";

const jobSpecSchema = z.looseObject({
  template: z.looseObject({
    spec: z.looseObject({
      containers: z.tuple([
        z.looseObject({ env: z.array(z.looseObject({ name: z.string(), value: z.string().optional() })) }),
      ]),
    }),
  }),
});

const OURS = /^(runner|dispatcher)/;

/** Looks at every write, whoever makes it, and notes what must never happen. Knows nothing of how decisions are made. */
export class Invariants {
  readonly violations: string[] = [];
  /** Every phase that an object of Velero's ever had, by uid. */
  readonly phases = new Map<string, Set<string>>();
  readonly #owners = new Map<string, string | undefined>();
  readonly #endedByUs = new Set<string>();
  readonly #gone = new Set<string>();
  readonly #cancelled = new Set<string>();
  readonly #operations = new Map<string, Operation>();
  /** Jobs that people made, by uid: for which Operation, by uid or by name. */
  readonly #requests = new Map<string, readonly string[]>();
  /** The names of all Jobs that have ever ended. */
  readonly #endedJobs = new Set<string>();
  readonly #velero: FakeVelero;
  readonly #connectionOf: (actor: string) => FakeConnection | undefined;

  constructor(velero: FakeVelero, connectionOf: (actor: string) => FakeConnection | undefined) {
    this.#velero = velero;
    this.#connectionOf = connectionOf;
  }

  look(write: Write): void {
    if (write.plural === "operations") this.#operation(write);
    else if (write.plural === "jobs") this.#job(write);
    else if (write.plural === "backups" || write.plural === "restores") this.#veleroObject(write);
    else if (write.plural === "deletebackuprequests" && write.verb === "create") this.#deletion(write);
  }

  #operation({ actor, before: was, after: is }: Write): void {
    const before = was && operationSchema.parse(was);
    if (is === undefined) {
      if (before !== undefined) this.#operations.delete(before.metadata.uid);
      return;
    }
    const after = operationSchema.parse(is);
    const { uid } = after.metadata;
    this.#operations.set(uid, after);
    if (after.metadata.annotations?.[Annotation.cancel] === "true") this.#cancelled.add(uid);
    if (before === undefined || isDeepStrictEqual(before.status, after.status)) return;
    if (!OURS.test(actor)) this.#violated(`${actor} wrote a status`);
    const made = after.status?.engineRef?.uid;
    if (made !== undefined && this.#owners.get(made) !== `${uid}/${attemptOf(after)}`) {
      this.#violated("somebody else's object was taken for its own");
    }
    if (isTerminal(before.status?.phase)) this.#afterTheEnd(before, after);
    else if (isTerminal(after.status?.phase)) this.#end(after);
    const [past, now] = [before.status?.history ?? [], after.status?.history ?? []];
    if (!isDeepStrictEqual(now.slice(0, past.length), past)) this.#violated("the past was rewritten");
    if (isUnderWay(after) && !isUnderWay(before)) this.#alone(after);
  }

  #afterTheEnd(before: Operation, after: Operation): void {
    const [old, now] = [before.status, after.status];
    if (old?.phase === "Succeeded") this.#violated("a Succeeded Operation was written to");
    if (isTerminal(now?.phase)) {
      if (!isDeepStrictEqual(outcome(old), outcome(now))) this.#violated("an attempt has two outcomes");
      return;
    }
    if (!this.#isAsked(before, after)) this.#violated("run again though nobody asked for it");
    const resumed = attemptOf(after) === attemptOf(before);
    const gaveUp = conditionOf(old, "Failed")?.reason === Reason.runnerFailed;
    if (resumed && !gaveUp) this.#violated("an attempt went on after its end");
    if (!resumed && attemptOf(after) !== attemptOf(before) + 1) this.#violated("an attempt was left out");
    if (!resumed && before.metadata.annotations?.[Annotation.cancel] === "true")
      this.#violated("re-run though cancelled");
  }

  #job({ actor, verb, after: is }: Write): void {
    if (is === undefined) return;
    const job = jobs.schema.parse(is);
    if (jobHasEnded(job)) this.#endedJobs.add(job.metadata.name);
    if (verb !== "create" || actor !== "people") return;
    const { env } = jobSpecSchema.parse(job.spec).template.spec.containers[0];
    const says = (wanted: string) => env.find(({ name }) => name === wanted)?.value ?? "";
    this.#requests.set(job.metadata.uid, [says("OPERATION_UID"), says("OPERATION_NAME")]);
  }

  /** Each token and each Job that people make asks once; a cancel that was not carried out asks for the same attempt. */
  #isAsked({ metadata, status }: Operation, after: Operation): boolean {
    const token = metadata.annotations?.[Annotation.rerun];
    if (token !== undefined && token !== status?.observedRerun) return true;
    const known = new Set([
      ...jobsOfAttempt(status?.runner),
      ...(status?.history ?? []).flatMap(({ jobUIDs = [] }) => jobUIDs),
    ]);
    const asks = [...this.#requests].filter(
      ([, [uid, name]]) => uid === metadata.uid || (!uid && name === metadata.name),
    );
    if (asks.some(([job]) => !known.has(job))) return true;
    return attemptOf(after) === (status?.runner?.attempt ?? 1) && this.#cancelled.has(metadata.uid);
  }

  #end({ metadata, status }: Operation): void {
    const gaveUp = conditionOf(status, "Failed");
    const [, ended] = /Job (\S+) (?:gave up|ended)/.exec(gaveUp?.message ?? "") ?? [];
    if (gaveUp?.reason === Reason.runnerFailed && !this.#endedJobs.has(ended ?? "")) {
      this.#violated(`told that Job ${ended} has ended, and it has not`);
    }
    const { uid = "" } = status?.engineRef ?? {};
    const phases = this.phases.get(uid) ?? new Set();
    const failed = conditionOf(status, "Failed")?.reason;
    if (status?.phase === "Succeeded" && ![...phases].some(isRestorable))
      this.#violated("a success that Velero knows nothing of");
    if (conditionOf(status, "Cancelled")?.status === "True" && !this.#cancelled.has(metadata.uid)) {
      this.#violated("cancelled though nobody asked");
    }
    if (failed === Reason.externalDeletion && !this.#gone.has(uid) && !phases.has("Deleting")) {
      this.#violated("told as deleted from elsewhere, and was not");
    }
    if (failed === Reason.externalDeletion && this.#endedByUs.has(uid)) {
      this.#violated("told as deleted from elsewhere, and was deleted by a runner");
    }
  }

  #alone(one: Operation): void {
    for (const other of this.#operations.values()) {
      if (other.metadata.uid === one.metadata.uid || !isUnderWay(other)) continue;
      if (one.spec?.type === "Restore" || other.spec?.type === "Restore") this.#violated("a Restore is not alone");
    }
  }

  #veleroObject({ actor, verb, before: was, after: is, plural }: Write): void {
    const before = was && backupSchema.parse(was);
    const after = is && backupSchema.parse(is);
    if (before !== undefined && after === undefined) this.#gone.add(before.metadata.uid);
    if (after !== undefined) {
      const seen = this.phases.get(after.metadata.uid) ?? new Set();
      this.#owners.set(after.metadata.uid, ownerOf(after.metadata.labels));
      this.phases.set(after.metadata.uid, seen.add(after.status?.phase ?? "New"));
    }
    if (!OURS.test(actor)) return;
    if (verb === "create" && after !== undefined) this.#created(actor, plural, after);
    else if (verb !== "delete") this.#violated(`${actor} changed Velero's object`);
    else if (before !== undefined) this.#deleted(actor, plural, before);
  }

  #created(actor: string, plural: string, made: VeleroObject): void {
    if (!actor.startsWith("runner")) this.#violated(`${actor} made an object of Velero's`);
    const others = this.#existing(plural).filter(
      ({ metadata }) =>
        metadata.uid !== made.metadata.uid && ownerOf(metadata.labels) === ownerOf(made.metadata.labels),
    );
    if (others.length > 0) this.#violated("a second object of Velero's for the same attempt");
    const operation = this.#operations.get((ownerOf(made.metadata.labels) ?? "").split("/")[0] ?? "");
    if (operation?.status?.phase === "Succeeded") this.#violated("a Succeeded Operation was run again");
  }

  #deleted(actor: string, plural: string, object: VeleroObject): void {
    this.#endedByUs.add(object.metadata.uid);
    if (ownerOf(object.metadata.labels) === undefined) this.#violated(`${actor} deleted somebody else's ${plural}`);
    const files = this.#velero.files.get(object.metadata.name);
    const own = files !== undefined && ownerOf(files.labels) === ownerOf(object.metadata.labels);
    if (plural === "backups" && isRestorable(object.status?.phase) && own) {
      this.#violated("a finished Backup was deleted without its files");
    }
  }

  #deletion({ actor, after }: Write): void {
    if (after === undefined || !OURS.test(actor)) return;
    const request = deleteBackupRequestSchema.parse(after);
    const name = request.spec?.backupName ?? "";
    const owner = ownerOf(request.metadata.labels);
    const told = this.#connectionOf(actor)?.told.get(`backups/${name}`);
    if (owner === undefined || ownerOf(told?.metadata.labels) !== owner) {
      this.#violated("asked Velero to delete what it did not know as its own");
    } else if (told?.metadata.uid !== request.metadata.labels?.["velero.io/backup-uid"]) {
      this.#violated("asked Velero to delete another Backup than the one it had looked at");
    }
    if (told !== undefined) this.#endedByUs.add(told.metadata.uid);
    const files = this.#velero.files.get(name);
    const object = this.#velero.object(name);
    if (object !== undefined && ownerOf(object.metadata.labels) !== owner)
      this.#violated("asked Velero to delete somebody else's Backup");
    if (files !== undefined && ownerOf(files.labels) !== owner)
      this.#violated("asked Velero to delete somebody else's files");
  }

  #existing(plural: string): readonly KubeObject[] {
    return this.#velero.objects(plural);
  }

  #violated(what: string): void {
    this.violations.push(what);
  }
}

/** What an attempt came to. */
function outcome(status: Status | undefined): unknown {
  const conditions = ["Succeeded", "Failed", "Cancelled", "Degraded", "Accepted", "Running"] as const;
  return [
    status?.phase,
    status?.outputs,
    status?.finishedAt,
    conditions.map((type) => conditionOf(status, type)?.reason),
  ];
}

function isUnderWay({ metadata, status }: Operation): boolean {
  return metadata.deletionTimestamp === undefined && isAdmitted(status) && !isTerminal(status?.phase);
}
