import type { Logger } from "pino";
import { isTerminal, type Operation, operations, type VeleroOperation } from "../api/operation.ts";
import type { KubeClient } from "../kube/client.ts";
import type { Clock } from "../kube/clock.ts";
import { isConflict, isNotFound } from "../kube/errors.ts";
import { keyOf } from "../kube/metadata.ts";
import { expendable, type Retention } from "./state/expendable.ts";

export interface RetentionParts {
  readonly client: Pick<KubeClient, "get" | "delete">;
  readonly operations: { values(): Iterable<Operation> };
  readonly retention: Retention;
  readonly clock: Clock;
  readonly logger: Logger;
  /** For one call, in milliseconds. */
  readonly callTimeoutMs: number;
}

/** How often finished Operations are looked through, in milliseconds. */
const PERIOD_MS = 5 * 60_000;
/** So many are deleted at most each time: whoever turns retention on late has thousands. */
const MOST_AT_ONCE = 200;

/**
 * Deletes finished Operations that may go, now and then, until the signal aborts; nothing at all where the setting is off. Their
 * backups stay: an Operation has no finalizer, and nothing of Velero's is owned by it. docs/contract.md#retention.
 */
export async function retain(parts: RetentionParts, signal: AbortSignal): Promise<void> {
  if (parts.retention.keep === 0) return;
  /** Those that others own, by uid: they need not be read each time. */
  const owned = new Set<string>();
  while (!signal.aborted) {
    await sweep(parts, owned, signal);
    await parts.clock.sleep(PERIOD_MS, signal).catch(() => undefined);
  }
}

async function sweep(parts: RetentionParts, owned: Set<string>, signal: AbortSignal): Promise<void> {
  const { retention, clock, logger } = parts;
  const due = expendable(parts.operations.values(), retention, clock.now()).filter(
    ({ metadata }) => !owned.has(metadata.uid),
  );
  for (const operation of due.slice(0, MOST_AT_ONCE)) {
    if (signal.aborted) return;
    try {
      if ((await remove(parts, operation, signal)) === "owned") owned.add(operation.metadata.uid);
    } catch (error) {
      if (signal.aborted) return;
      logger.warn({ err: error, operation: keyOf(operation) }, "could not delete a finished Operation, will try again");
      return;
    }
  }
}

/** Deletes it as it was read a moment ago: whoever asks for a re-run in between has changed it, and it stays. */
async function remove(
  { client, logger, callTimeoutMs: timeoutMs }: RetentionParts,
  { metadata: { namespace, name, uid } }: VeleroOperation,
  signal: AbortSignal,
): Promise<"deleted" | "owned" | "changed"> {
  try {
    const found = await client.get(operations, { namespace, name }, { timeoutMs, signal });
    if (found.metadata.uid !== uid || !isTerminal(found.status?.phase)) return "changed";
    if (isOwned(found)) return "owned";
    const preconditions = { uid, resourceVersion: found.metadata.resourceVersion };
    await client.delete(operations, { namespace, name }, { preconditions, timeoutMs });
    logger.info({ operation: `${namespace}/${name}`, uid }, "deleted a finished Operation (setting retention)");
    return "deleted";
  } catch (error) {
    if (isNotFound(error) || isConflict(error)) return "changed";
    throw error;
  }
}

const OWNING_LABELS = /^((kustomize|helm)\.toolkit\.fluxcd\.io\/|applyset\.kubernetes\.io\/part-of$)/;
const OWNING_ANNOTATIONS = /^(argocd\.argoproj\.io\/|meta\.helm\.sh\/release-name$)/;
/** Argo CD's own label, where it does not track by annotation. */
const ARGO_INSTANCE = ["app.kubernetes.io/instance", "argocd.argoproj.io/instance"];

/** Whether a GitOps tool or a controller has made it: deleted, it would be made again, and run again. */
function isOwned({ metadata }: Operation): boolean {
  const labels = Object.keys(metadata.labels ?? {});
  const owners = metadata.ownerReferences;
  return (
    labels.some((key) => OWNING_LABELS.test(key) || ARGO_INSTANCE.includes(key)) ||
    metadata.labels?.["app.kubernetes.io/managed-by"] === "Helm" ||
    Object.keys(metadata.annotations ?? {}).some((key) => OWNING_ANNOTATIONS.test(key)) ||
    (Array.isArray(owners) && owners.length > 0)
  );
}
