import type { Progress } from "../../api/operation.ts";
import { isRestorable, type VeleroObject } from "../../api/velero.ts";
import { type RunnerContext, retryingBriefly } from "../context.ts";
import { isMovementOver, type Movement, movedBytes, movementsOf, possibleMovements } from "./dataMovement.ts";

/** Data movements are listed no more often than this, in milliseconds. docs/contract.md#progress. */
const LIST_INTERVAL_MS = 10_000;
/** The share of volume data in the percentage, if there is any: moving it takes most of the time. */
const DATA_SHARE = 90;

/** Reads how far Velero is with one object, for as long as a run follows that object. */
export class ProgressReader {
  readonly #context: RunnerContext;
  #movements: readonly Movement[] = [];
  #listedAt: number | undefined;

  constructor(context: RunnerContext) {
    this.#context = context;
  }

  /**
   * Takes the items from the object itself and the bytes from its data movements, if there are any that can be read.
   *
   * @returns undefined while Velero reports nothing
   */
  async read(object: VeleroObject): Promise<Progress | undefined> {
    // Before Velero has counted the items, it moves no data.
    if ((itemsOf(object)?.total ?? 0) > 0) await this.#listMovements(object);
    return progressOf(object, this.#movements);
  }

  async #listMovements(object: VeleroObject): Promise<void> {
    const { clock, signal, logger } = this.#context;
    const now = clock.monotonic();
    if (this.#listedAt !== undefined && now - this.#listedAt < LIST_INTERVAL_MS) return;
    this.#listedAt = now;
    try {
      this.#movements = await movementsOf(retryingBriefly(this.#context), object, possibleMovements(object));
    } catch (error) {
      signal.throwIfAborted();
      logger.debug({ err: error }, "could not list the data movements, so there is no progress in bytes");
    }
  }
}

/**
 * Computes the progress from what Velero has reported. The percentage weighs items and bytes. It is 100 only once
 * Velero has completed the object: while Velero waits or finalizes, there is still work to do.
 */
export function progressOf(object: VeleroObject, movements: readonly Movement[]): Progress | undefined {
  const items = itemsOf(object);
  const bytes = movedBytes(movements);
  if (items === undefined && bytes.total === 0) return undefined;
  const percent = percentOf(object, items, movements);
  return {
    ...(items && { itemsCompleted: items.completed, itemsTotal: items.total }),
    ...(bytes.total > 0 && { bytesCompleted: bytes.done, bytesTotal: bytes.total }),
    ...(percent !== undefined && { percent }),
  };
}

/**
 * The progress to write next. The percentage of an attempt never falls, whichever run computes it, and even if Velero
 * finds more items or more data.
 */
export function advanced(last: Progress | undefined, next: Progress): Progress {
  const percent = Math.max(Math.min(last?.percent ?? 0, BELOW_THE_END), next.percent ?? 0);
  return last?.percent === undefined && next.percent === undefined ? next : { ...next, percent };
}

/** Items done and in total, from `status.progress`. Go omits a zero. */
export function itemsOf(object: VeleroObject): { completed: number; total: number } | undefined {
  const progress = object.status?.progress;
  if (progress === undefined || progress === null) return undefined;
  const completed = ("itemsBackedUp" in progress ? progress.itemsBackedUp : progress.itemsRestored) ?? 0;
  return { completed: Number(completed), total: progress.totalItems ?? 0 };
}

const BELOW_THE_END = 99;

function percentOf(
  object: VeleroObject,
  items: { completed: number; total: number } | undefined,
  movements: readonly Movement[],
): number | undefined {
  if (isRestorable(object.status?.phase)) return 100;
  const share = movements.length > 0 || isDataToCome(object) ? DATA_SHARE : 0;
  if (share === 0 && (items === undefined || items.total <= 0)) return undefined;
  const ofItems = items === undefined || items.total <= 0 ? 0 : Math.min(1, items.completed / items.total);
  const percent = Math.floor((100 - share) * ofItems + share * movedFraction(movements));
  return Math.min(BELOW_THE_END, percent);
}

/**
 * Whether Velero may still begin to move volume data that the Backup asks for. It does so only while it goes through
 * the items.
 */
function isDataToCome({ spec, status }: VeleroObject): boolean {
  return status?.phase === "InProgress" && (spec?.snapshotMoveData === true || spec?.defaultVolumesToFsBackup === true);
}

/**
 * The fraction of all data that is moved, from 0 to 1. A movement that does not report its size yet counts as one of
 * average size.
 */
function movedFraction(movements: readonly Movement[]): number {
  const sizes = movements.map(({ object }) => object.status?.progress?.totalBytes ?? 0).filter((size) => size > 0);
  const average = sizes.length === 0 ? 1 : sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
  let moved = 0;
  let all = 0;
  for (const { object } of movements) {
    const { totalBytes = 0, bytesDone = 0 } = object.status?.progress ?? {};
    const size = totalBytes > 0 ? totalBytes : average;
    all += size;
    moved += isMovementOver(object) ? size : Math.min(size, Math.max(0, bytesDone));
  }
  return all === 0 ? 0 : moved / all;
}
