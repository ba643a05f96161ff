import type { Logger } from "pino";
import type { KubeClient } from "../kube/client.ts";
import type { Clock } from "../kube/clock.ts";
import { isTransient, mayBeRestored } from "../kube/errors.ts";
import type { EventRecorder } from "../kube/events.ts";
import type { Fetcher } from "./fetcher.ts";

/** Who this run is and whom it works for, as its environment says it (settings.ts). */
export interface RunnerSettings {
  /** The Operation. A Job made by hand names no uid and takes the Operation of that name as it is now. */
  readonly operation: { readonly namespace: string; readonly name: string; readonly uid?: string | undefined };
  /** The Job whose pod this is. Without a uid this run was started outside of any Job. */
  readonly job: { readonly name?: string | undefined; readonly uid?: string | undefined; readonly namespace: string };
  /** Where Velero and its objects live. */
  readonly veleroNamespace: string;
  /** This cluster's name in the cluster-id label; undefined where it has none. */
  readonly clusterId: string | undefined;
  /** What no Restore brings back, beside Operations. */
  readonly restoreExcludedResources: readonly string[];
  /** How long after it was asked for a Restore from another namespace may begin, in milliseconds. */
  readonly requestWindowMs: number;
  /** How long Velero may work on one Operation, as Go writes it; undefined for as long as it takes. */
  readonly maxRunTime: string | undefined;
  /** Whether what Velero says of failures stays out of Operations. */
  readonly hideVeleroMessages: boolean;
  /** The file from which the kubelet takes the container's termination message. */
  readonly terminationMessagePath: string;
}

/** What every step is given. */
export interface RunnerContext {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborts when the process is asked to end (SIGTERM): every step then gives up at once, with the signal's reason. */
  readonly signal: AbortSignal;
  readonly settings: RunnerSettings;
  /** Tells people of transitions, beside the Operation. */
  readonly events: EventRecorder;
  /** Reads what Velero has stored. */
  readonly fetcher: Fetcher;
  /** For how long one call waits out an API server in trouble, in milliseconds. Default: a minute (retry.ts). */
  readonly maxRetryTimeMs?: number;
  /** What is waited out. Default: trouble, and no refusal (retry.ts). */
  readonly mayPass?: (error: unknown) => boolean;
}

/** The context for what may come after a Velero object was made: that rights or kinds are away for a moment ends nothing. */
export function retryingRefusals(context: RunnerContext): RunnerContext {
  return { ...context, mayPass: mayBeRestored };
}

/** The context for what follows a Velero object that exists: that lives on whatever the API server does, so no call gives up. */
export function retryingForever(context: RunnerContext): RunnerContext {
  return { ...retryingRefusals(context), maxRetryTimeMs: Number.POSITIVE_INFINITY };
}

/** The context for what is good to know, and not worth waiting for as long as it takes. */
export function retryingBriefly(context: RunnerContext): RunnerContext {
  return { ...context, maxRetryTimeMs: 60_000, mayPass: isTransient };
}
