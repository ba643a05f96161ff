import type { ApplicationInstance } from "../../api/applicationInstance.ts";
import type { Operation, Status, VeleroOperation } from "../../api/operation.ts";
import type { StorageLocation, VeleroObject } from "../../api/velero.ts";
import type { Announcement } from "../../kube/events.ts";
import type { KubeObject, Manifest } from "../../kube/metadata.ts";
import type { Event, Job, Pod, VolumeSnapshotClass } from "../../kube/resources.ts";
import type { Place } from "../line/line.ts";
import type { OrphanedWork } from "../line/namespaceLine.ts";
import type { VeleroLoad } from "../line/veleroLoad.ts";
import type { Settings } from "../settings.ts";
import type { JobTemplates } from "../templates/buildJob.ts";

/**
 * Everything that a decision may look at, as the API server reported it last. Reading it costs nothing and changes nothing. If a
 * decision needs more, it is added here.
 */
export interface World {
  readonly now: Date;
  readonly settings: Settings;
  readonly templates: JobTemplates;
  /** The key that approval tokens are signed with; without one no token is valid. */
  readonly approvalKey: string | undefined;
  /**
   * Since when the API server checks the right of whoever restores from another namespace: since the creation of the policy or of
   * its binding, whichever was later. Undefined if either is missing.
   */
  readonly rightsPolicySince: Date | undefined;
  /**
   * Whether there is room for an Operation that passes its own checks. Writes in flight count: an Operation whose admission is
   * being written is under way already, so that two never take the same slot.
   */
  placeOf(operation: VeleroOperation): Place;
  /** What Velero has to do of that type, for us and for others. */
  veleroLoad(type: VeleroOperation["spec"]["type"]): VeleroLoad;
  /** Since when Velero works on no object of that type, as far as the dispatcher has seen; undefined while it does. */
  veleroIdleSince(type: VeleroOperation["spec"]["type"]): Date | undefined;
  /** The Operation with that UID, whatever its state. */
  operation(uid: string): Operation | undefined;
  target(namespace: string, name: string): ApplicationInstance | undefined;
  namespace(name: string): KubeObject | undefined;
  snapshotClass(name: string): VolumeSnapshotClass | undefined;
  storageLocation(name: string): StorageLocation | undefined;
  /** The location that Velero takes if a Backup names none (`spec.default`). */
  defaultStorageLocation(): StorageLocation | undefined;
  /** The Job of that name in the dispatcher's own namespace. */
  job(name: string): Job | undefined;
  /** Every Job, made by the dispatcher or by hand, that names this Operation. */
  jobsOf(operation: VeleroOperation): readonly Job[];
  podsOf(job: Job): readonly Pod[];
  /** The Events that say why the API server refused the Job's pod. An Event outlives the refusal. */
  refusalsOf(job: Job): readonly Event[];
  /** The warnings of kubelet and controllers about the pod. Such an Event, too, outlives its cause. */
  podEventsOf(pod: Pod): readonly Event[];
  /**
   * The Backup or Restore of the Operation's attempt: the one with the uid of engineRef; before that uid is recorded, the
   * one whose labels name this Operation's UID and attempt.
   */
  veleroObject(operation: Operation): VeleroObject | undefined;
  /** The Backups and Restores whose labels name the same Operation and attempt as the Job's. */
  veleroObjectsOf(job: Job): readonly VeleroObject[];
  /** The Jobs and Velero objects that are at work in a namespace although their Operation is gone. */
  orphanedWork(namespace: string): readonly OrphanedWork[];
}

/** One write at most. What comes next is decided on what the API server says after it. */
export type Action =
  | { readonly kind: "writeStatus"; readonly status: Status }
  | { readonly kind: "createJob"; readonly name: string; readonly manifest: Manifest }
  | {
      readonly kind: "deleteJob";
      readonly name: string;
      readonly uid: string;
      readonly resourceVersion: string;
      readonly why: string;
    }
  | { readonly kind: "announce"; readonly announcement: Announcement }
  | {
      readonly kind: "annotateTarget";
      readonly target: { readonly namespace: string; readonly name: string };
      /** The state that the decision saw: in any other state the target stays as it is. */
      readonly resourceVersion: string;
      /** null removes an annotation. */
      readonly annotations: Readonly<Record<string, string | null>>;
      readonly why: string;
    };

export interface Decision {
  /** Undefined if there is nothing to do: everything is as it should be, or the Operation waits for a change. */
  readonly action?: Action;
  /** When to decide again although no watch reports a change: an approval expires, a pod takes too long. docs/contract.md#admission. */
  readonly lookAgainAt?: Date;
}
