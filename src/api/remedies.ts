import { type Operation, SUPPORTED_TYPES } from "./operation.ts";
import { Reason, type ReasonName, type VeleroReason, veleroReason } from "./reasons.ts";

/**
 * What each reason means, who must act and what they do: one table for `describe`, `doctor` and everything else that
 * explains an Operation to people. docs/contract.md names the reasons.
 */

/** The documentation that people read in a browser. */
export const DOCS = "https://github.com/vworkspace-io/operation-runner/blob/main/docs";

/** Who has to do something. */
export type Actor = "nobody" | "requester" | "approver" | "admin";

export interface Remedy {
  /** What has happened, in one sentence. */
  readonly meaning: string;
  readonly who: Actor;
  /** What they do. `NAME` stands for the Operation: {@link todoFor} puts it in. */
  readonly todo: string;
}

/** Words for each actor, as the subject of a sentence. */
export const ACTORS: Readonly<Record<Actor, string>> = {
  nobody: "nobody",
  requester: "the team",
  approver: "an approver",
  admin: "the platform's admin",
};

const nobody = (meaning: string, todo = "nothing"): Remedy => ({ meaning, who: "nobody", todo });
const requester = (meaning: string, todo: string): Remedy => ({ meaning, who: "requester", todo });
const admin = (meaning: string, todo: string): Remedy => ({ meaning, who: "admin", todo });

const RERUN = "run it again: kubectl operation rerun NAME";
const ANEW = "create a new Operation";

/** One entry for each reason of this project. */
export const remedies: Readonly<Record<ReasonName, Remedy>> = {
  [Reason.templateValidated]: nobody("The Operation is valid and admitted.", "wait: its Job is at work or about to be"),
  [Reason.restoredCopy]: requester(
    "This is a copy out of a backup: what it asks for was done before the backup was made, so it never runs.",
    "delete it, or create a new Operation of another name to do the same again",
  ),
  [Reason.outOfScope]: admin(
    "The dispatcher is not responsible for this namespace, or only for Operations in it that have a certain label.",
    "add the namespace (or its label) to the dispatcher's settings, or use a namespace that is in its scope",
  ),
  [Reason.clusterMismatch]: requester(
    "The label app.vworkspace.io/cluster-id names another cluster.",
    "remove the label or set it to this cluster's name; if the Operation was meant for the other cluster, delete it here",
  ),
  [Reason.validationFailed]: requester(
    "A parameter has a value that is not allowed; the message names the field, the value and what is allowed.",
    `${ANEW} with the right value: a spec cannot be changed`,
  ),
  [Reason.storageLocationForbidden]: admin(
    "The storage location is not open to this namespace.",
    "open it by the setting storageLocations; or the team creates a new Operation with another storageLocation",
  ),
  [Reason.snapshotClassForbidden]: admin(
    "The VolumeSnapshotClass is not open to this namespace.",
    "open it by the setting snapshotClasses; or the team creates a new Operation with another csiSnapshotClassName",
  ),
  [Reason.targetNotFound]: requester(
    "The namespace has no ApplicationInstance of that name.",
    "create it, or have the platform's admin create it: the Operation then goes on by itself; or delete the Operation and ask again with the right target",
  ),
  [Reason.targetNamespaceForbidden]: requester(
    "The target says that its release is in another namespace; an Operation works on its own namespace only.",
    "ask for it in the namespace of the release, or correct spec.release.namespace of the target",
  ),
  [Reason.capabilityMissing]: requester(
    "The target's annotation ops.vworkspace.io/backup or ops.vworkspace.io/restore does not list velero.",
    "add velero to that annotation of the ApplicationInstance; the Operation then goes on by itself",
  ),
  [Reason.templateInvalid]: admin(
    "The template from which the Job would be made cannot be used.",
    "correct the ConfigMap operation-jobs as the message says; the Operation then goes on by itself",
  ),
  [Reason.policyMissing]: admin(
    "The policy that checks rights in the other namespace is not installed or not bound, so nothing has checked them.",
    "apply manifests/policies again; Restores that were asked for before must then be run again",
  ),
  [Reason.authorizationExpired]: requester(
    "A Restore from another namespace must begin soon after somebody with the right asked for it, and it did not.",
    `somebody who may create Operations in both namespaces has to ${RERUN}`,
  ),
  [Reason.specChanged]: admin(
    "The spec has changed since it was admitted, although the CRD and a policy forbid that.",
    "find out in the audit log who changed it, and whether the CRD and the policy operation-spec are in force",
  ),
  [Reason.targetNotReady]: requester(
    "The application is not Ready, so a backup of it could be of a half-finished state.",
    "bring the ApplicationInstance to Ready=True; the Operation then goes on by itself",
  ),
  [Reason.missingVolumeSnapshotClass]: admin(
    "There is no VolumeSnapshotClass of that name with a driver.",
    "create it, and the Operation goes on by itself; or the team names another class in a new Operation",
  ),
  [Reason.storageLocationUnavailable]: admin(
    "Velero cannot use the storage location now, so the backup or restore would fail validation.",
    "mend the BackupStorageLocation as its message says (bucket, credentials, network, access mode); the Operation then goes on by itself",
  ),
  [Reason.awaitingApproval]: {
    meaning: "Somebody has to approve it first, by a signed approval token.",
    who: "approver",
    todo: "approve it: kubectl operation approve NAME --key-file FILE",
  },
  [Reason.conflictingOperation]: nobody(
    "Another Operation is at work in this namespace, and a Restore runs alone.",
    "wait for the other one, which the message names, or cancel that one",
  ),
  [Reason.unblocked]: nobody("What held it back is gone.", "wait: it goes on by itself"),
  [Reason.rerunRefused]: requester(
    "It cannot be run again yet: a cancel is still asked for, or too many attempts failed one after another.",
    "kubectl operation rerun NAME removes a cancel that is still set; otherwise wait until the time in the message",
  ),
  [Reason.pending]: nobody("Velero has not started it yet, or its runner is about to begin.", "wait"),
  [Reason.queued]: nobody("As many Operations as allowed are at work; it waits for its turn.", "wait for its turn"),
  [Reason.partialFailure]: requester(
    "Velero calls it partially failed: some items are missing or not restored.",
    "read the errors among the warnings and decide whether what is missing matters; mend the cause and do it again",
  ),
  [Reason.volumesSkipped]: requester(
    "The data of some volumes is not part of it.",
    "read outputs.skippedVolumes for the reasons; a volume needs a snapshot class or a file-system backup",
  ),
  [Reason.nothingBackedUp]: requester(
    "Nothing but the namespace matched what was asked for: the backup is empty.",
    `${ANEW} with other includedResources, excludedResources or labelSelector`,
  ),
  [Reason.unknownResources]: requester(
    "A resource was named that the cluster or Velero did not know.",
    "read outputs.unknownResources; correct the names, or wait five minutes after a new CRD, and do it again",
  ),
  [Reason.filesUnreadable]: admin(
    "The files in the object store are not what Velero wrote: the backup cannot be restored from.",
    "find out what changes uploads (a proxy, a gateway, the plugin's checksum settings), mend it and back up again",
  ),
  [Reason.nothingRestored]: requester(
    "The restore changed nothing: no item matched, or all existed before.",
    "look at outputs.skippedItems and failedItems; delete what is in the way, or restore with existingResourcePolicy update",
  ),
  [Reason.cancelRequested]: nobody("A cancel was asked for and goes on to its end.", "wait until it is cancelled"),
  [Reason.cancelledByUser]: requester("Somebody cancelled it.", `nothing, or ${RERUN}`),
  [Reason.deadlineExceeded]: admin(
    "Velero worked on it for longer than the setting limits.maxRunTime allows, so it was cancelled.",
    `find out what took so long, or raise limits.maxRunTime; then ${RERUN}`,
  ),
  [Reason.externalDeletion]: admin(
    "Somebody deleted Velero's Backup or Restore before it had ended.",
    `find out in the audit log who deleted it, then ${RERUN}`,
  ),
  [Reason.runnerFailed]: admin(
    "The Job gave up before there was a result; the message says how it ended.",
    `mend what the message names, then ${RERUN}`,
  ),
  [Reason.namespaceExcluded]: admin(
    "The namespace has the label velero.io/exclude-from-backup=true, so Velero would back up nothing of it.",
    `remove the label from the namespace if it was not meant to be left out, then ${RERUN}`,
  ),
  [Reason.restoreForbidden]: requester(
    "The backup does not exist, has not succeeded, or holds more than what may be restored here.",
    "name a successful backup of this namespace, or of one that namespaceMapping names, in a new Operation",
  ),
  [Reason.namespaceTerminating]: requester(
    "The namespace is being deleted, and a Restore would bring it back.",
    "wait until the namespace is gone, have it created again, and ask anew there",
  ),
};

/** Of an Operation without a status. */
export const UNNOTICED = admin(
  "Nobody has looked at it yet.",
  "see whether the dispatcher runs and serves this namespace: kubectl operation doctor",
);

const velero: Readonly<Record<VeleroReason, Remedy>> = {
  InProgress: nobody("Velero is at work on it.", "wait; kubectl operation watch NAME shows how far it is"),
  Succeeded: nobody("Velero is done, and it went well."),
  Completed: nobody("It went well."),
  PartiallyFailed: requester(
    "Velero calls it partially failed: some items are missing or not restored.",
    "read the errors among the warnings and decide whether what is missing matters; mend the cause and do it again",
  ),
  Failed: admin(
    "Velero failed; the message is Velero's.",
    `mend what the message names (kubectl operation logs NAME --velero has Velero's own log), then ${RERUN}`,
  ),
  ValidationFailed: requester(
    "The request failed Velero's validation; the message is Velero's.",
    `correct what the message names, then ${RERUN}, or ${ANEW} where a parameter is wrong`,
  ),
};

/**
 * The reasons that Kubernetes gives for a Job or pod that does not work, and those of Events that are in no condition.
 */
const kubernetes: Readonly<Record<string, Remedy>> = {
  Unschedulable: admin(
    "No node takes the runner's pod.",
    "give the cluster room, or change nodeSelector, tolerations or requests in the ConfigMap operation-jobs",
  ),
  ...both(
    ["ImagePullBackOff", "ErrImagePull"],
    admin(
      "The runner's image cannot be pulled.",
      "correct the image or pull secret in the ConfigMap operation-jobs, or mend the registry",
    ),
  ),
  ...both(
    ["CrashLoopBackOff", "Error", "BackoffLimitExceeded"],
    admin("The runner ends again and again without a result.", "read its log: kubectl operation logs NAME"),
  ),
  ...both(
    ["FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "CreateContainerConfigError"],
    admin(
      "The node cannot bring the runner's pod up.",
      "mend what the message names: a missing Secret or ConfigMap, a volume, the node's network",
    ),
  ),
  FailedCreate: admin(
    "The cluster does not let the Job or its pod in.",
    "mend what the message names: a quota, a limit, a policy or a webhook",
  ),
  OOMKilled: admin(
    "The runner needed more memory than it was allowed.",
    "raise the memory limit in the ConfigMap operation-jobs",
  ),
  ...both(
    ["Evicted", "Preempting", "DisruptionTarget", "DeletionByTaintManager"],
    nobody("The runner's pod was evicted.", "wait: another pod follows by itself"),
  ),
  ...both(
    ["NodeNotReady", "NodeLost"],
    admin("The node of the runner's pod has fallen silent.", "look after the node; a dead one must be removed"),
  ),
  ...both(
    ["OutOfcpu", "OutOfmemory", "OutOfpods", "NodeAffinity", "PodFailed"],
    nobody("A node rejected the runner's pod.", "wait: the Job is made again by itself"),
  ),
  Terminating: admin(
    "The runner's pod should have ended and has not: its node is dead.",
    "force-delete the pod, or taint the node out-of-service",
  ),
  JobSuspended: admin("A queue holds the Job back.", "wait for the queue, or look at it (Kueue: the Workload)"),
  ContainerStillRuns: admin(
    "Another container of the pod still runs after the runner's has ended.",
    "make the other container a native sidecar in the ConfigMap operation-jobs",
  ),
  VeleroIdle: admin(
    "Velero works on nothing of this type, and yet leaves the object waiting.",
    "wait a minute: Velero's queue has missed its turn; if it lasts, see whether Velero's server runs",
  ),
  StatusTooLarge: requester(
    "The Operation has no room for its status in the API server's store.",
    `delete it, and ${ANEW} with shorter parameters and annotations`,
  ),
};

function both(reasons: readonly string[], remedy: Remedy): Record<string, Remedy> {
  return Object.fromEntries(reasons.map((reason) => [reason, remedy]));
}

const VELERO_REASONS = Object.keys(velero) as VeleroReason[];

const all: ReadonlyMap<string, Remedy> = new Map([
  ...Object.entries(kubernetes),
  ...SUPPORTED_TYPES.flatMap((type) => VELERO_REASONS.map((what) => [veleroReason(type, what), velero[what]] as const)),
  ...Object.entries(remedies),
]);

/** What is to be done about an Operation, with commands that can be copied, in whatever namespace their reader works. */
export function todoFor(
  { todo }: Remedy,
  { namespace, name }: Pick<Operation["metadata"], "namespace" | "name">,
): string {
  return todo.replaceAll("NAME", namespace === undefined ? name : `${name} -n ${namespace}`);
}

/** Every reason that people may see, with what to do about it. */
export function everyRemedy(): ReadonlyMap<string, Remedy> {
  return all;
}

/** Where the documentation explains a reason (docs/reasons.md). */
export function reasonUrl(reason: string): string {
  return `${DOCS}/reasons.md#${reason.toLowerCase()}`;
}

/** @returns what to do about a reason; undefined for a reason that is not in the table */
export function remedyOf(reason: string): Remedy | undefined {
  return all.get(reason);
}
