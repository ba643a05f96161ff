import type { Operation } from "../../api/operation.ts";
import type { VeleroObject } from "../../api/velero.ts";
import { ObjectChanged } from "../errors.ts";

/** What a run took for its attempt's object. */
export interface RecordedObject {
  /** As it was called, or was to be called. */
  readonly name: string | undefined;
  /** As it is recorded; undefined while it is not made. */
  readonly uid: string | undefined;
}

/**
 * Before anything is written about an object: that it still is the attempt's. A run that hears late may have followed one
 * that another run has removed since, because Velero refused it, or found none just before another run made it.
 *
 * @throws ObjectChanged when the attempt has another one now
 */
export function checkRecordedObject({ status }: Operation, { name, uid }: RecordedObject): void {
  const now = status?.engineRef;
  const renamed = name !== undefined && now?.name !== undefined && now.name !== name;
  if (renamed || now?.uid !== uid) throw new ObjectChanged(`the attempt's object is ${now?.name ?? "none"} now`);
}

/** What is left of an attempt's Velero object when there is nothing more to wait for. */
export interface ObjectEnd {
  /** Undefined when there is none (any more). */
  readonly object: VeleroObject | undefined;
  /** This run removed it, or did not make it, because the Operation was cancelled. */
  readonly cancelled?: boolean;
  /** What that could not clean up, in words. */
  readonly remains?: string | undefined;
}
