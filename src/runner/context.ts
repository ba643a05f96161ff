import type { Logger } from "pino";
import type { KubeClient } from "../kube/client.ts";
import type { Clock } from "../kube/clock.ts";
import { isTransient, mayPassLater } from "../kube/errors.ts";
import type { EventRecorder } from "../kube/events.ts";
import type { Fetcher } from "./fetcher.ts";
import type { LatestOperation } from "./latestOperation.ts";

/**
 * Which Operation this run works on, in which Job, and the platform's settings: all from its environment (settings.ts).
 */
export interface RunnerSettings {
  /** The Operation. A Job made by hand need not name a uid: then the Operation that has this name now is meant. */
  readonly operation: { readonly namespace: string; readonly name: string; readonly uid?: string | undefined };
  /** The Job whose pod this is. Without a uid, this run was started outside of any Job. */
  readonly job: { readonly name?: string | undefined; readonly uid?: string | undefined; readonly namespace: string };
  /** The namespace of Velero and its objects. */
  readonly veleroNamespace: string;
  /** This cluster's name for the label cluster-id; undefined if it has none. */
  readonly clusterId: string | undefined;
  /** The resources that no Restore may restore, apart from Operations. */
  readonly restoreExcludedResources: readonly string[];
  /** How long after the request for it a Restore from another namespace may begin, in milliseconds. */
  readonly requestWindowMs: number;
  /** How long Velero may work on one Operation, as a Go duration; undefined for no limit. */
  readonly maxRunTime: string | undefined;
  /** Whether Operations must not repeat Velero's messages about failures. */
  readonly hideVeleroMessages: boolean;
  /** The file from which the kubelet takes the container's termination message. */
  readonly terminationMessagePath: string;
}

/** What every step of a run needs. */
export interface RunnerContext {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborts on SIGTERM. Every step then stops at once and throws the signal's reason. */
  readonly signal: AbortSignal;
  readonly settings: RunnerSettings;
  /** The Operation as this run saw it last. */
  readonly latest: LatestOperation;
  /** Records Events, which tell people about transitions. */
  readonly events: EventRecorder;
  /** Reads Velero's files from the object store. */
  readonly fetcher: Fetcher;
  /**
   * For how long one call is retried while the API server is in trouble, in milliseconds. Default: a minute (retry.ts).
   */
  readonly maxRetryTimeMs?: number;
  /** Which errors are retried. Default: those of an API server in trouble, no refusals (retry.ts). */
  readonly isRetryable?: (error: unknown) => boolean;
}

/**
 * The context for calls that may come after a Velero object was created. It also retries refusals that may pass, as
 * while RBAC or a CRD is being applied again.
 */
export function retryingRefusals(context: RunnerContext): RunnerContext {
  return { ...context, isRetryable: mayPassLater };
}

/**
 * The context for calls while a Velero object exists. Velero works on it whatever the API server does, so no call gives
 * up.
 */
export function retryingForever(context: RunnerContext): RunnerContext {
  return { ...retryingRefusals(context), maxRetryTimeMs: Number.POSITIVE_INFINITY };
}

/** The context for calls whose answer is good to know, but not worth waiting for without end. */
export function retryingBriefly(context: RunnerContext): RunnerContext {
  return { ...context, maxRetryTimeMs: 60_000, isRetryable: isTransient };
}
