import { counted, cutBytes, humanBytes } from "../api/message.ts";
import type { OperationType } from "../api/operation.ts";
import type { Outputs } from "../api/outputs.ts";
import { ConditionType, Reason, type ReasonName, veleroReason } from "../api/reasons.ts";
import type { ConditionChange, StatusChange } from "../api/status.ts";
import type { VeleroObject } from "../api/velero.ts";
import { waitsFor } from "./follow/waitsFor.ts";

/** What a run knows about an attempt when it decides the status. */
export interface Seen {
  readonly type: OperationType;
  /** Velero's object as it was last read; undefined once it has vanished, or if a cancel came before it was created. */
  readonly object: VeleroObject | undefined;
  /** This Operation asked for the cancel. If false, somebody else deleted the object. */
  readonly byCancel: boolean;
  /** The message about the limit that was exceeded, if that is why the attempt is cancelled. */
  readonly exceeded?: string | undefined;
  readonly outputs?: Outputs | undefined;
  /** What the cancel could not clean up, in words. */
  readonly remains?: string | undefined;
}

type Row = (seen: Seen, phase: string) => StatusChange;

/**
 * docs/contract.md#velero-phases, row by row. A phase that is not in here, such as one of a newer Velero, is Running.
 */
const ROWS: Readonly<Record<string, Row>> = {
  New: pending,
  Queued: pending,
  ReadyToStart: pending,
  Completed: completed,
  PartiallyFailed: partiallyFailed,
  Failed: failed,
  FailedValidation: failedValidation,
  Deleting: gone,
};

/**
 * The phase and all conditions that follow from Velero's object; nextStatus adds times and generation.
 * docs/contract.md#velero-phases.
 */
export function verdict(seen: Seen): StatusChange {
  const phase = seen.object === undefined ? undefined : seen.object.status?.phase || "New";
  const change = phase === undefined ? gone(seen) : rowOf(phase)(seen, phase);
  return seen.outputs === undefined ? change : { ...change, outputs: seen.outputs };
}

function rowOf(phase: string): Row {
  return (Object.hasOwn(ROWS, phase) ? ROWS[phase] : undefined) ?? running;
}

function pending(seen: Seen, phase: string): StatusChange {
  return {
    phase: "Pending",
    conditions: [
      isTrue(ConditionType.accepted, Reason.templateValidated, "the Operation is valid and admitted"),
      isFalse(ConditionType.running, Reason.pending, `${kindOf(seen)} waits for Velero to start it, phase ${phase}`),
    ],
  };
}

function running(seen: Seen, phase: string): StatusChange {
  const reason = veleroReason(seen.type, "InProgress");
  const waits = seen.object === undefined ? [] : waitsFor(seen.object);
  const message = [`${kindOf(seen)} is in phase ${phase}`, ...waits].join("; ");
  return {
    phase: "Running",
    conditions: [isTrue(ConditionType.running, reason, message)],
  };
}

function completed(seen: Seen): StatusChange {
  const message = summary(seen, "completed");
  return succeeded(seen, isTrue(ConditionType.succeeded, veleroReason(seen.type, "Completed"), message), []);
}

function partiallyFailed(seen: Seen): StatusChange {
  const { errorCount = "0", warningCount = "0" } = seen.outputs ?? {};
  const noted = `${counted(errorCount, "error")}, ${counted(warningCount, "warning")}: see outputs.warnings`;
  const message = summary(seen, "partially failed");
  return succeeded(seen, isTrue(ConditionType.succeeded, veleroReason(seen.type, "PartiallyFailed"), message), [
    { reason: Reason.partialFailure, message: noted },
  ]);
}

/** Why an Operation that succeeded is degraded. */
interface Shortcoming {
  readonly reason: ReasonName;
  readonly message: string;
}

/** The message of Degraded lists every trouble; its reason is that of the first one. */
function succeeded(seen: Seen, success: ConditionChange, first: readonly Shortcoming[]): StatusChange {
  const reason = veleroReason(seen.type, "Succeeded");
  const troubles = [...first, ...troublesOf(seen)];
  const [worst] = troubles;
  const all = troubles.map(({ message }) => message).join("; ");
  return {
    phase: "Succeeded",
    conditions: [
      isFalse(ConditionType.running, reason, success.message),
      success,
      ...(worst === undefined ? [] : [isTrue(ConditionType.degraded, worst.reason, all)]),
    ],
  };
}

/** Troubles that Velero itself does not count as failures. The worst comes first. */
function troublesOf(seen: Seen): Shortcoming[] {
  const { unreadableFiles = [], skippedVolumes = [], unknownResources = [] } = seen.outputs ?? {};
  const volumes = `volumes not ${seen.type === "Backup" ? "backed up" : "restored"}`;
  return [
    ...troubleWith(Reason.filesUnreadable, "files in the object store are not what Velero wrote", unreadableFiles),
    ...nothingMatched(seen),
    ...troubleWith(Reason.nothingRestored, "nothing was created or updated", resultsOfNoChange(seen)),
    ...troubleWith(Reason.volumesSkipped, volumes, skippedVolumes),
    ...troubleWith(Reason.unknownResources, "Velero may not have known these resources", unknownResources),
  ];
}

/** Velero also says Completed when no object matched the request. */
function nothingMatched({ type, object, outputs }: Seen): Shortcoming[] {
  const { backupItemCount, restoreItemCount } = outputs ?? {};
  const always = type === "Backup" && holdsNamespace(object) ? 1 : 0;
  const items = type === "Backup" ? backupItemCount : restoreItemCount;
  // If some objects failed, then they matched.
  const isWhole = object?.status?.phase === "Completed";
  if (!isWhole || items === undefined || Number(items) > always) return [];
  const where = type === "Backup" ? "in the namespace" : "in the backup";
  const reason = type === "Backup" ? Reason.nothingBackedUp : Reason.nothingRestored;
  return [{ reason, message: `nothing ${where} matched what was asked for` }];
}

/**
 * A Backup holds the Namespace object whatever its selector says, unless it excludes namespaces. Velero,
 * item_collector.go.
 */
function holdsNamespace(object: VeleroObject | undefined): boolean {
  const { includedResources, excludedResources } = object?.spec ?? {};
  const included = Array.isArray(includedResources) ? includedResources : [];
  const excluded = Array.isArray(excludedResources) ? excludedResources : [];
  const isWhole = included.length === 0 || included.includes("*");
  return isWhole && !excluded.some((name) => /^(ns|namespaces?)$/i.test(String(name)));
}

/** The results of a restore that changed nothing; empty if it changed something. */
function resultsOfNoChange({ outputs }: Seen): string[] {
  const { restoreCreatedCount, restoreUpdatedCount } = outputs ?? {};
  return restoreCreatedCount === "0" && restoreUpdatedCount === "0" ? itemResults(outputs) : [];
}

/** Such as `5 created, 4 skipped`: the numbers that are known and not zero. */
function itemResults(outputs: Outputs | undefined): string[] {
  const counts = [
    ["created", outputs?.restoreCreatedCount],
    ["updated", outputs?.restoreUpdatedCount],
    ["skipped", outputs?.restoreSkippedCount],
    ["failed", outputs?.restoreFailedCount],
  ] as const;
  return counts.flatMap(([result, count = "0"]) => (count === "0" ? [] : [`${count} ${result}`]));
}

function troubleWith(reason: ReasonName, what: string, which: readonly string[]): Shortcoming[] {
  return which.length === 0 ? [] : [{ reason, message: `${what}: ${which.join(", ")}` }];
}

function failed(seen: Seen): StatusChange {
  const reason = veleroReason(seen.type, "Failed");
  const message = seen.object?.status?.failureReason || `${kindOf(seen)} failed; Velero gives no reason`;
  return {
    phase: "Failed",
    conditions: [
      isFalse(ConditionType.running, reason, `${kindOf(seen)} failed`),
      isTrue(ConditionType.failed, reason, message),
    ],
  };
}

function failedValidation(seen: Seen): StatusChange {
  const reason = veleroReason(seen.type, "ValidationFailed");
  const errors = seen.object?.status?.validationErrors ?? [];
  const message =
    errors.length > 0 ? errors.join("; ") : `${kindOf(seen)} failed Velero's validation; Velero gives no reason`;
  return {
    phase: "Failed",
    conditions: [
      isFalse(ConditionType.accepted, reason, message),
      isFalse(ConditionType.running, reason, `${kindOf(seen)} failed Velero's validation`),
      isTrue(ConditionType.failed, reason, message),
    ],
  };
}

/** The object is gone: removed by a cancel (CancelledByUser, DeadlineExceeded), or by somebody else (ExternalDeletion). */
function gone(seen: Seen): StatusChange {
  const [condition, reason, message] = seen.byCancel
    ? ([ConditionType.cancelled, cancelReason(seen), cancelledMessage(seen)] as const)
    : ([ConditionType.failed, Reason.externalDeletion, externalMessage(seen)] as const);
  return {
    phase: "Failed",
    conditions: [isFalse(ConditionType.running, reason, message), isTrue(condition, reason, message)],
    // The outputs must not name a Backup that is gone: the name may belong to another backup by now.
    ...(seen.type === "Backup" && { outputs: undefined }),
  };
}

function cancelReason({ exceeded }: Seen): ReasonName {
  return exceeded === undefined ? Reason.cancelledByUser : Reason.deadlineExceeded;
}

/** A cancel can come before there is anything to remove, so no message says that something was removed. */
function cancelledMessage({ type, exceeded, remains }: Seen): string {
  const left =
    type === "Backup"
      ? "cancelled, no velero.io/Backup of this attempt is kept"
      : "cancelled, velero.io/Restore deleted; the objects that it had restored until then stay";
  return [exceeded, left, remains].filter((part) => part !== undefined).join("; ");
}

function externalMessage(seen: Seen): string {
  return seen.object === undefined
    ? `${kindOf(seen)} was deleted before it ended, not by this Operation`
    : `${kindOf(seen)} is being deleted, not by this Operation`;
}

/** Such as `velero.io/Backup completed; 412 items, 18.4 GiB` or `velero.io/Restore completed; 9 items (9 created)`. */
function summary(seen: Seen, how: string): string {
  const { backupItemCount, restoreItemCount, backupSizeBytes, backupName } = seen.outputs ?? {};
  const items = seen.type === "Backup" ? backupItemCount : restoreItemCount;
  const became = itemResults(seen.outputs).join(", ");
  const facts = [
    ...(items === undefined ? [] : [counted(items, "item") + (became === "" ? "" : ` (${became})`)]),
    ...(backupSizeBytes === undefined ? [] : [humanBytes(Number(backupSizeBytes))]),
    // Names are per team, so in Velero the Backup may have another name than in the request.
    ...(seen.type === "Backup" || backupName === undefined ? [] : [`from Backup ${backupName}`]),
  ];
  return [`${kindOf(seen)} ${how}`, ...(facts.length === 0 ? [] : [facts.join(", ")])].join("; ");
}

function kindOf({ type }: Seen): string {
  return `velero.io/${type}`;
}

function isTrue(type: ConditionChange["type"], reason: string, message: string): ConditionChange {
  return { type, status: "True", reason, message: cutBytes(message) };
}

function isFalse(type: ConditionChange["type"], reason: string, message: string): ConditionChange {
  return { type, status: "False", reason, message: cutBytes(message) };
}
