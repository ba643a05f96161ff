import type { Progress } from "../api/operation.ts";
import type { VeleroObject } from "../api/velero.ts";
import { impatient, type RunnerContext } from "./context.ts";
import { movedBytes, movementsOf } from "./dataMovement.ts";

/**
 * How far Velero is: items from the object itself; bytes from its data movements, where there are any and they can be
 * read. Percent is of the bytes where these are known, because they are what takes the time, else of the items.
 *
 * @returns undefined while Velero tells nothing
 */
export async function progress(context: RunnerContext, object: VeleroObject): Promise<Progress | undefined> {
  const items = itemsOf(object);
  const bytes = await bytesOf(context, object);
  if (items === undefined && bytes === undefined) return undefined;
  const percent = percentOf(bytes?.done, bytes?.total) ?? percentOf(items?.completed, items?.total);
  return {
    ...(items && { itemsCompleted: items.completed, itemsTotal: items.total }),
    ...(bytes && { bytesCompleted: bytes.done, bytesTotal: bytes.total }),
    ...(percent !== undefined && { percent }),
  };
}

/** Items done and in total, from `status.progress`. Go leaves a zero out. */
export function itemsOf(object: VeleroObject): { completed: number; total: number } | undefined {
  const told = object.status?.progress;
  if (told === undefined || told === null) return undefined;
  const completed = ("itemsBackedUp" in told ? told.itemsBackedUp : told.itemsRestored) ?? 0;
  return { completed: Number(completed), total: told.totalItems ?? 0 };
}

async function bytesOf(
  context: RunnerContext,
  object: VeleroObject,
): Promise<{ total: number; done: number } | undefined> {
  try {
    const bytes = movedBytes(await movementsOf(impatient(context), object));
    return bytes.total > 0 ? bytes : undefined;
  } catch (error) {
    context.signal.throwIfAborted();
    context.logger.debug({ err: error }, "no progress in bytes");
    return undefined;
  }
}

function percentOf(done: number | undefined, total: number | undefined): number | undefined {
  if (done === undefined || total === undefined || total <= 0) return undefined;
  return Math.max(0, Math.min(100, Math.floor((100 * done) / total)));
}
