import { mustCancel } from "../../api/cancel.ts";
import { type Operation, operations, type VeleroOperation } from "../../api/operation.ts";
import { isVeleroTerminal, type VeleroObject } from "../../api/velero.ts";
import type { KubeObject } from "../../kube/metadata.ts";
import { Notifier } from "../../kube/notifier.ts";
import type { Resource } from "../../kube/resource.ts";
import { watchResource } from "../../kube/watch.ts";
import type { RunnerContext } from "../context.ts";
import { veleroResource } from "../object/veleroObject.ts";

/** Both objects as the API server last reported them. */
export interface View {
  /** Undefined once it is gone, or another one has its name. */
  readonly object: VeleroObject | undefined;
  /** Undefined once it is gone or being deleted, or another one has its name. */
  readonly operation: Operation | undefined;
}

/**
 * Two views are at least this far apart, in milliseconds, where Velero only goes on to its next phase: a quick backup passes
 * through four of them in half a second. docs/contract.md#progress.
 */
const PHASE_INTERVAL_MS = 1_000;
/** While only progress changes, two views are at least this far apart, in milliseconds. docs/contract.md#progress. */
const PROGRESS_INTERVAL_MS = 2_000;
/**
 * While nothing changes, there is a view this often, in milliseconds: the object does not show the bytes that Velero's
 * data movers have moved, so the consumer looks for them.
 */
const IDLE_INTERVAL_MS = 10_000;

/**
 * Follows an attempt's Velero object and its Operation at the same time. Yields the newest view at once when Velero has
 * ended, a cancel comes or one of the two is gone; at most every second while Velero goes on to its next phase; at most
 * every two seconds while only progress changes (the last change is never lost); and every ten seconds while nothing
 * changes. All changes that come while the consumer is busy make one view.
 *
 * @throws the context's signal's reason, and nothing else
 */
export async function* follow(
  context: RunnerContext,
  followed: VeleroOperation,
  object: VeleroObject,
): AsyncGenerator<View, never> {
  const { clock, signal } = context;
  const notifier = new Notifier(clock);
  const stop = new AbortController();
  const abort = () => stop.abort(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();

  let ended: { readonly reason: unknown } | undefined;
  const velero = new Watched(context, veleroResource(followed.spec.type), object, stop.signal, notifier);
  const request = new Watched<Operation>(context, operations, followed, stop.signal, notifier);
  const watching = Promise.all([velero.run(), request.run()]).catch((reason: unknown) => {
    ended = { reason };
    notifier.notify();
  });
  try {
    let shown: View | undefined;
    let shownAt = 0;
    for (;;) {
      const operation = request.current?.metadata.deletionTimestamp === undefined ? request.current : undefined;
      const view = { object: velero.current, operation };
      const due = shown && shownAt + pause(shown, view) - clock.monotonic();
      if (ended !== undefined) throw ended.reason;
      if (!velero.synced || !request.synced || (due !== undefined && due > 0)) {
        await notifier.notified(due);
        continue;
      }
      shown = view;
      shownAt = clock.monotonic();
      yield view;
    }
  } finally {
    signal.removeEventListener("abort", abort);
    stop.abort();
    await watching;
  }
}

/** How long after a view the next one is due, in milliseconds. */
function pause(shown: View, next: View): number {
  if (isTurn(shown, next)) return 0;
  if (shown.object?.status?.phase !== next.object?.status?.phase) return PHASE_INTERVAL_MS;
  return shown.object === next.object ? IDLE_INTERVAL_MS : PROGRESS_INTERVAL_MS;
}

/** Whether what comes next is for the consumer to do. */
function isTurn(last: View, next: View): boolean {
  return (
    isVeleroTerminal(last.object?.status?.phase) !== isVeleroTerminal(next.object?.status?.phase) ||
    (last.object === undefined) !== (next.object === undefined) ||
    (last.operation === undefined) !== (next.operation === undefined) ||
    wantsCancel(last) !== wantsCancel(next)
  );
}

function wantsCancel({ operation }: View): boolean {
  return operation !== undefined && mustCancel(operation);
}

/** One object, watched by name. Another object that takes its name does not count. */
class Watched<T extends KubeObject> {
  /** Whether the first list is complete: before that, an undefined `current` does not mean that the object is gone. */
  synced = false;
  current: T | undefined;
  readonly #context: RunnerContext;
  readonly #resource: Resource<T>;
  readonly #target: T;
  readonly #signal: AbortSignal;
  readonly #notifier: Notifier;

  constructor(context: RunnerContext, resource: Resource<T>, target: T, signal: AbortSignal, notifier: Notifier) {
    this.#context = context;
    this.#resource = resource;
    this.#target = target;
    this.#signal = signal;
    this.#notifier = notifier;
  }

  /** @throws the signal's reason, and nothing else */
  async run(): Promise<never> {
    const { client, logger, clock } = this.#context;
    const { name, namespace, uid } = this.#target.metadata;
    const selection = { namespace, fieldSelector: `metadata.name=${name}`, from: this.#target };
    const options = { ...selection, signal: this.#signal, logger, clock };
    for await (const event of watchResource(client, this.#resource, options)) {
      if (event.type === "synced") this.synced = true;
      else this.current = event.type !== "deleted" && event.object.metadata.uid === uid ? event.object : undefined;
      this.#notifier.notify();
    }
    throw new Error("a watch never ends");
  }
}
