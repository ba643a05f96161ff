import { counted } from "../../api/message.ts";
import { isBackup, type VeleroObject } from "../../api/velero.ts";

/**
 * What Velero says it waits for while it is at work: item operations (snapshots and volume data, which go on beside the
 * main run) and hooks. docs/contract.md#velero-phases.
 *
 * @returns an empty list when Velero does not say
 */
export function waitsFor(object: VeleroObject): string[] {
  const { phase = "", hookStatus } = object.status ?? {};
  const { hooksAttempted = 0, hooksFailed = 0 } = hookStatus ?? {};
  return [
    ...(phase.startsWith("WaitingForPluginOperations") ? operationsOf(object) : []),
    ...(phase.startsWith("Finalizing") && !isBackup(object) ? [FINALIZING] : []),
    ...(hooksAttempted > 0 ? [`${counted(hooksAttempted, "hook")} attempted, ${hooksFailed} failed`] : []),
  ];
}

/**
 * Velero reports only afterwards what a Restore waited for in its last phase. Velero, restore_finalizer_controller.go.
 */
const FINALIZING =
  "in this phase Velero waits for restored claims to be bound and for hooks in restored pods to run, of this Restore or of an earlier one, and does not say which";

function operationsOf(object: VeleroObject): string[] {
  const [attempted = 0, completed = 0, failed = 0] = isBackup(object)
    ? [
        object.status?.backupItemOperationsAttempted,
        object.status?.backupItemOperationsCompleted,
        object.status?.backupItemOperationsFailed,
      ]
    : [
        object.status?.restoreItemOperationsAttempted,
        object.status?.restoreItemOperationsCompleted,
        object.status?.restoreItemOperationsFailed,
      ];
  if (attempted === 0) return [];
  return [`${completed} of ${counted(attempted, "item operation")} done${failed === 0 ? "" : `, ${failed} failed`}`];
}
