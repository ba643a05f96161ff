import type { ApplicationInstance } from "../../api/applicationInstance.ts";
import type { Operation, Status, VeleroOperation } from "../../api/operation.ts";
import type { StorageLocation, VeleroObject } from "../../api/velero.ts";
import type { Announcement } from "../../kube/events.ts";
import type { KubeObject, Manifest } from "../../kube/metadata.ts";
import type { Event, Job, Pod, VolumeSnapshotClass } from "../../kube/resources.ts";
import type { Place } from "../line/line.ts";
import type { VeleroLoad } from "../line/veleroLoad.ts";
import type { Settings } from "../settings.ts";
import type { JobTemplates } from "../templates/buildJob.ts";
import type { OrphanedWork } from "./orphanedWork.ts";

/**
 * Everything a decision may look at, as the API server last told it. Reading it costs nothing and changes nothing; a
 * decision that needs more than this adds it here.
 */
export interface World {
  readonly now: Date;
  readonly settings: Settings;
  readonly templates: JobTemplates;
  /** The key that approval tokens are signed with; without one no token is valid. */
  readonly approvalKey: string | undefined;
  /**
   * Since when who restores from another namespace is asked for their right there: the policy's or the binding's creation,
   * whichever was later. Undefined where either is missing.
   */
  readonly rightsAskedSince: Date | undefined;
  /**
   * Whether there is room for an Operation that is itself ready to run. Writes that are on their way count: one that is being
   * admitted at this moment is under way, so that two never take the same slot.
   */
  placeOf(operation: VeleroOperation): Place;
  /** What Velero has to do of that type, ours and other people's. */
  veleroLoad(type: VeleroOperation["spec"]["type"]): VeleroLoad;
  /** The Operation with that uid, whatever its state. */
  operation(uid: string): Operation | undefined;
  target(namespace: string, name: string): ApplicationInstance | undefined;
  namespace(name: string): KubeObject | undefined;
  snapshotClass(name: string): VolumeSnapshotClass | undefined;
  storageLocation(name: string): StorageLocation | undefined;
  /** The location that Velero takes where a Backup names none (`spec.default`). */
  defaultStorageLocation(): StorageLocation | undefined;
  /** The Job of that name in the dispatcher's own namespace. */
  job(name: string): Job | undefined;
  /** Every Job, made by the dispatcher or by hand, that names this Operation. */
  jobsOf(operation: VeleroOperation): readonly Job[];
  podsOf(job: Job): readonly Pod[];
  /** The Events that say why the Job could not have a pod; they outlive what they tell of. */
  refusalsOf(job: Job): readonly Event[];
  /** What Kubernetes' parts warn of about the pod; such Events, too, outlive what they tell of. */
  podEventsOf(pod: Pod): readonly Event[];
  /**
   * The Backup or Restore of the Operation's attempt: the one with the uid of engineRef; before that uid is recorded, the
   * one whose labels name this Operation's UID and attempt.
   */
  veleroObject(operation: Operation): VeleroObject | undefined;
  /** The Backups and Restores whose labels name the same Operation and attempt as the Job's. */
  veleroObjectsOf(job: Job): readonly VeleroObject[];
  /** What is at work in a namespace and whose Operation is gone. */
  orphanedWork(namespace: string): readonly OrphanedWork[];
}

/** At most one write; what comes next is decided on what the API server then says. */
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
      /** The state in which it was looked at: in any other it is left alone. */
      readonly resourceVersion: string;
      /** null takes one away. */
      readonly annotations: Readonly<Record<string, string | null>>;
      readonly why: string;
    };

export interface Decision {
  /** Nothing to do: everything is as it should be, or what it waits for will wake it. */
  readonly action?: Action;
  /** For what no watch tells: an approval expires, a pod takes too long. docs/contract.md#admission. */
  readonly lookAgainAt?: Date;
}
