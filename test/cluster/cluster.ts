import type { AuditEvent } from "./audit.ts";
import type { StoredObject } from "./s3.ts";

/** What a driver may be unable to do; a test that needs it is skipped and says so. */
export type Capability =
  | "audit"
  /** Nobody looks after VolumeSnapshots yet: a test may run a snapshot controller and a CSI driver of its own. */
  | "csi"
  | "evict-pod"
  | "kill-pod"
  /** The API server has MutatingAdmissionPolicy, as from Kubernetes 1.36. */
  | "mutating-policies"
  | "object-store"
  | "pause-object-store"
  /** Pods are containers on a real node, with limits, probes, mounts and images that are pulled. */
  | "real-kubelet"
  | "restart-api-server"
  | "run-pods"
  | "users";

/** How a program ended. */
export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * A Kubernetes cluster to test on. Tests know this interface and nothing of how
 * the cluster is made: a driver declares in `can` what it is able to do, and
 * every other member works with all of them.
 */
export interface Cluster {
  readonly driver: string;
  readonly can: ReadonlySet<Capability>;
  /** Path of an administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** Folder to put in front of PATH: kubectl, and velero where the cluster brings one. */
  readonly programs: string;

  /** Runs kubectl; a failure is a result, not an exception. `as` is the path of another kubeconfig. */
  kubectl(args: readonly string[], options?: { input?: string; as?: string }): Promise<Result>;
  /** Applies manifests, server-side: a kustomization folder, a file, or objects. Throws with kubectl's words. */
  apply(manifests: string | readonly object[]): Promise<void>;
  /** "run-pods": Velero's own command line, of the version that is installed, as an administrator. */
  velero(args: readonly string[]): Promise<Result>;
  /** "users": path of a kubeconfig that acts as this user; rights are for RBAC to give. */
  user(name: string, groups?: readonly string[]): Promise<string>;
  /** "audit": what the API server was asked so far, oldest first. See auditPolicy for what it records. */
  audit(): Promise<AuditEvent[]>;
  /** "restart-api-server": all connections break; resolves when it serves again. */
  restartApiServer(): Promise<void>;
  /** "kill-pod": sends a signal to the first process of each of a pod's running containers. */
  killPod(namespace: string, pod: string, signal: NodeJS.Signals): Promise<void>;
  /** "evict-pod": ends a pod as a drained node or one under memory pressure does; resolves when the pod shows DisruptionTarget. */
  evictPod(namespace: string, pod: string): Promise<void>;
  /** "object-store": where Velero keeps its backups. */
  readonly objectStore: ObjectStore;
  /** Paths of the cluster's own logs by component; empty where the driver has none. */
  logs(): Promise<Record<string, string>>;
}

/** The bucket behind Velero. */
export interface ObjectStore {
  list(prefix: string): Promise<StoredObject[]>;
  read(key: string): Promise<Buffer | undefined>;
  write(key: string, content: Buffer): Promise<void>;
  /** Makes it the default BackupStorageLocation of the Velero in that namespace, credentials included. */
  connectVelero(namespace: string): Promise<void>;
  /** "pause-object-store": requests hang, neither refused nor answered, until `resume`. */
  pause(): Promise<void>;
  resume(): Promise<void>;
}

/** A cluster that this process started and has to take down. */
export interface OwnedCluster extends Cluster {
  /** Ends everything the cluster is made of and removes its files. Safe to repeat. */
  down(): Promise<void>;
}
