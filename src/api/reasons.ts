import type { OperationType } from "./operation.ts";

/** The types of the conditions of an Operation. */
export const ConditionType = {
  accepted: "Accepted",
  blocked: "Blocked",
  running: "Running",
  succeeded: "Succeeded",
  failed: "Failed",
  degraded: "Degraded",
  cancelled: "Cancelled",
  // Only while something is not as it should be, and True then, as tools that wait for objects of any kind expect.
  reconciling: "Reconciling",
  stalled: "Stalled",
} as const;

export type ConditionTypeName = (typeof ConditionType)[keyof typeof ConditionType];

/** The reasons of conditions: exactly those that docs/contract.md names. */
export const Reason = {
  // Accepted
  templateValidated: "TemplateValidated",
  restoredCopy: "RestoredCopy",
  outOfScope: "OutOfScope",
  clusterMismatch: "ClusterMismatch",
  validationFailed: "ValidationFailed",
  storageLocationForbidden: "StorageLocationForbidden",
  snapshotClassForbidden: "SnapshotClassForbidden",
  targetNotFound: "TargetNotFound",
  targetNamespaceForbidden: "TargetNamespaceForbidden",
  capabilityMissing: "CapabilityMissing",
  templateInvalid: "TemplateInvalid",
  policyMissing: "PolicyMissing",
  authorizationExpired: "AuthorizationExpired",
  specChanged: "SpecChanged",
  // Blocked
  targetNotReady: "TargetNotReady",
  missingVolumeSnapshotClass: "MissingVolumeSnapshotClass",
  storageLocationUnavailable: "StorageLocationUnavailable",
  awaitingApproval: "AwaitingApproval",
  conflictingOperation: "ConflictingOperation",
  unblocked: "Unblocked",
  rerunRefused: "RerunRefused",
  // Running
  pending: "Pending",
  queued: "Queued",
  // Failed, Degraded, Cancelled
  partialFailure: "PartialFailure",
  volumesSkipped: "VolumesSkipped",
  nothingBackedUp: "NothingBackedUp",
  unknownResources: "UnknownResources",
  filesUnreadable: "FilesUnreadable",
  nothingRestored: "NothingRestored",
  /**
   * Cancelled=Unknown: a runner has seen the request (or the dispatcher, while no runner is at work), so the cancel
   * goes on to its end.
   */
  cancelRequested: "CancelRequested",
  cancelledByUser: "CancelledByUser",
  /** Cancelled=Unknown while the cancel goes on to its end, then True: Velero was at work for longer than a setting allows. */
  deadlineExceeded: "DeadlineExceeded",
  externalDeletion: "ExternalDeletion",
  runnerFailed: "RunnerFailed",
  namespaceExcluded: "NamespaceExcluded",
  restoreForbidden: "RestoreForbidden",
  namespaceTerminating: "NamespaceTerminating",
} as const;

export type ReasonName = (typeof Reason)[keyof typeof Reason];

/** What happened to Velero's object; the reason is `VeleroBackup<what>` or `VeleroRestore<what>`. */
export type VeleroReason = "InProgress" | "Succeeded" | "Completed" | "PartiallyFailed" | "Failed" | "ValidationFailed";

/** `VeleroBackupCompleted`, `VeleroRestoreInProgress`, ... */
export function veleroReason(type: OperationType, what: VeleroReason): string {
  return `Velero${type}${what}`;
}
