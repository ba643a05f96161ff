import { counted } from "../../api/message.ts";
import { isBackup, type VeleroObject } from "../../api/velero.ts";

/**
 * What Velero waits for while it is at work, as far as it tells: item operations (snapshots and data of volumes that go on
 * beside the main run) and hooks. docs/contract.md#velero-phases.
 *
 * @returns nothing where it tells nothing
 */
export function waitsFor(object: VeleroObject): string[] {
  const { phase = "", hookStatus } = object.status ?? {};
  const { hooksAttempted = 0, hooksFailed = 0 } = hookStatus ?? {};
  return [
    ...(phase.startsWith("WaitingForPluginOperations") ? operationsOf(object) : []),
    ...(phase.startsWith("Finalizing") && !isBackup(object) ? [UNTOLD] : []),
    ...(hooksAttempted > 0 ? [`${counted(hooksAttempted, "hook")} attempted, ${hooksFailed} failed`] : []),
  ];
}

/** Of what a Restore waits for in its last phase, Velero tells only afterwards. Velero, restore_finalizer_controller.go. */
const UNTOLD =
  "Velero waits there for restored claims to be bound and for hooks in restored pods to run, of this Restore or of one before it, and does not say which";

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
