import type { ApplicationInstance } from "../api/applicationInstance.ts";
import { parseGoDuration } from "../api/duration.ts";
import type { Operation } from "../api/operation.ts";
import { inOrder } from "../api/order.ts";
import { Reason } from "../api/reasons.ts";
import { hasEnded, type State, situationOf, whyOf } from "./situation.ts";

/** Is everything backed up? Worked out from the Operations that there are, and from Velero's Backups where they may be seen. */

/** A Backup or Restore that has ended. */
export interface Run {
  readonly operation: string;
  readonly type: "Backup" | "Restore";
  readonly state: State;
  /** `Reason: message`, where it did not simply succeed. */
  readonly why: string;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly seconds: number;
  /** Of a Backup, as far as known. */
  readonly sizeBytes?: number;
  /** Whether there is something to restore from it, as far as can be told. */
  readonly usable: boolean;
}

/** What is wrong with the backups of a target; none of it: all is well. */
export type Flaw =
  /** There is no backup to restore from. */
  | "Never"
  /** The last backups failed. */
  | "Failing"
  /** The last good one is older than was asked for. */
  | "Overdue"
  /** The last ones succeeded, but not with all. */
  | "Degraded";

export interface TargetCoverage {
  readonly namespace: string;
  readonly target: string;
  readonly flaws: readonly Flaw[];
  /** The last backup that can be restored from. */
  readonly lastBackup?: Run;
  readonly lastRestore?: Run;
  /** Since when the last backups fail, or are degraded. */
  readonly since?: string;
  readonly why?: string;
  /** All that have ended, oldest first. */
  readonly runs: readonly Run[];
}

export interface CoverageInput {
  readonly operations: readonly Operation[];
  /** Undefined: no right to see them. Then only what an Operation names is a target. */
  readonly instances: readonly ApplicationInstance[] | undefined;
  /** Whether Velero still has the Backup of an Operation; undefined where that cannot be seen. */
  readonly hasBackup: (operation: Operation) => boolean | undefined;
  /** In milliseconds; undefined: none is overdue. */
  readonly maxAgeMs: number | undefined;
  readonly now: Date;
}

/** What every target has of backups and restores, by namespace and name. */
export function coverageOf(input: CoverageInput): TargetCoverage[] {
  const { operations, instances, now, maxAgeMs } = input;
  const runs = new Map<string, Run[]>();
  for (const { metadata } of instances ?? []) runs.set(`${metadata.namespace}/${metadata.name}`, []);
  for (const operation of operations) {
    const key = `${operation.metadata.namespace}/${operation.spec?.targetRef.name}`;
    const run = runOf(operation, input);
    // What is uninstalled needs no backup.
    if (instances !== undefined && !runs.has(key)) continue;
    runs.set(key, [...(runs.get(key) ?? []), ...(run === undefined ? [] : [run])]);
  }
  const targets = [...runs].map(([key, ended]) => {
    const [namespace = "", target = ""] = key.split("/");
    const oldestFirst = ended.toSorted((one, other) => inOrder(one.finishedAt, other.finishedAt));
    return { namespace, target, ...judged(oldestFirst, { now, maxAgeMs }), runs: oldestFirst };
  });
  return targets.toSorted((one, other) => inOrder(one.namespace, other.namespace) || inOrder(one.target, other.target));
}

function judged(
  runs: readonly Run[],
  { now, maxAgeMs }: Pick<CoverageInput, "now" | "maxAgeMs">,
): Omit<TargetCoverage, "namespace" | "target" | "runs"> {
  const backups = runs.filter(({ type, state }) => type === "Backup" && state !== "Cancelled");
  const lastBackup = backups.findLast(({ usable }) => usable);
  const lastRestore = runs.findLast(({ type }) => type === "Restore");
  const last = backups.at(-1);
  const isFailing = last !== undefined && last.state !== "Succeeded" && !(last.state === "Degraded" && last.usable);
  const isDegraded = !isFailing && last?.state === "Degraded";
  const isOverdue =
    maxAgeMs !== undefined && lastBackup !== undefined && now.getTime() - Date.parse(lastBackup.finishedAt) > maxAgeMs;
  const flaws: Flaw[] = [
    ...(lastBackup === undefined ? (["Never"] as const) : []),
    ...(isFailing ? (["Failing"] as const) : []),
    ...(isOverdue ? (["Overdue"] as const) : []),
    ...(isDegraded ? (["Degraded"] as const) : []),
  ];
  const first = isFailing || isDegraded ? firstOfStreak(backups, isFailing) : undefined;
  return {
    flaws,
    ...(lastBackup && { lastBackup }),
    ...(lastRestore && { lastRestore }),
    ...(first && last && { since: first.finishedAt, why: last.why }),
  };
}

/** The first of the runs up to now that all have the same flaw as the last. */
function firstOfStreak(backups: readonly Run[], isFailing: boolean): Run | undefined {
  const isGood = ({ state, usable }: Run) => state === "Succeeded" || (isFailing && state === "Degraded" && usable);
  return backups[backups.findLastIndex(isGood) + 1];
}

/** What nobody can restore from, though Velero calls it done. */
const WORTHLESS: ReadonlySet<string> = new Set([Reason.filesUnreadable, Reason.nothingBackedUp]);

function runOf(operation: Operation, { hasBackup, now }: CoverageInput): Run | undefined {
  const { spec, status, metadata } = operation;
  const situation = situationOf(operation);
  const { type } = spec ?? {};
  if (!hasEnded(situation) || (type !== "Backup" && type !== "Restore")) return undefined;
  const { state, reason } = situation;
  const finishedAt = status?.finishedAt ?? situation.since;
  const startedAt = status?.startedAt ?? metadata.creationTimestamp;
  const sizeBytes = Number(status?.outputs?.backupSizeBytes ?? Number.NaN);
  const isDone = state === "Succeeded" || (state === "Degraded" && !WORTHLESS.has(reason));
  const isKept = hasBackup(operation) ?? !isExpired(operation, finishedAt, now);
  return {
    operation: metadata.name,
    type,
    state,
    why: state === "Succeeded" ? "" : whyOf(situation),
    startedAt,
    finishedAt,
    seconds: Math.max(0, Math.round((Date.parse(finishedAt) - Date.parse(startedAt)) / 1000)),
    ...(type === "Backup" && !Number.isNaN(sizeBytes) && { sizeBytes }),
    usable: type === "Backup" && isDone && isKept,
  };
}

/** Whether its own ttl is over. Without one Velero has its own, which nobody tells here. */
function isExpired({ spec }: Operation, finishedAt: string, now: Date): boolean {
  const { ttl } = spec?.parameters ?? {};
  const nanoseconds = typeof ttl === "string" ? parseGoDuration(ttl) : undefined;
  if (nanoseconds === undefined) return false;
  return now.getTime() > Date.parse(finishedAt) + Number(nanoseconds / 1_000_000n);
}

/** The key of the Backup that an attempt made: Velero makes it anew from its files with another uid and the same labels. */
export function backupKey({ metadata, status }: Operation): string | undefined {
  const { engineRef } = status ?? {};
  if (engineRef?.name === undefined) return undefined;
  return `${engineRef.namespace}/${engineRef.name}/${metadata.uid}/${status?.runner?.attempt ?? 1}`;
}

/** How many targets have which flaw; `ok` have none. */
export function summaryOf(targets: readonly TargetCoverage[]): Record<"targets" | "ok" | Lowercase<Flaw>, number> {
  const count = (flaw: Flaw) => targets.filter(({ flaws }) => flaws.includes(flaw)).length;
  return {
    targets: targets.length,
    ok: targets.filter(({ flaws }) => flaws.length === 0).length,
    never: count("Never"),
    failing: count("Failing"),
    overdue: count("Overdue"),
    degraded: count("Degraded"),
  };
}
