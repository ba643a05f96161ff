import type { Operation } from "../../api/operation.ts";
import type { VeleroObject } from "../../api/velero.ts";
import { ObjectChanged } from "../errors.ts";

/** What a run knew of its attempt's Velero object when it decided what to write. */
export interface RecordedObject {
  /** The name that it has, or was about to get. */
  readonly name: string | undefined;
  /** The uid in status.engineRef; undefined before the object is created. */
  readonly uid: string | undefined;
}

/**
 * Checks, before a run writes about an object, that the object still is the attempt's. When two runs work on one
 * attempt, the slower one may still follow an object that the other has removed because Velero did not run it, or may
 * have found no object just before the other created one.
 *
 * @throws ObjectChanged when the attempt has another object now, or none
 */
export function checkRecordedObject({ status }: Operation, { name, uid }: RecordedObject): void {
  const now = status?.engineRef;
  const renamed = name !== undefined && now?.name !== undefined && now.name !== name;
  if (renamed || now?.uid !== uid)
    throw new ObjectChanged(`another run has changed the attempt's Velero object: it is ${now?.name ?? "none"} now`);
}

/** How an attempt's Velero object ended. */
export interface ObjectEnd {
  /** Undefined when it is gone, or was never created. */
  readonly object: VeleroObject | undefined;
  /** This run removed it, or did not create it, because the Operation was cancelled. */
  readonly cancelled?: boolean;
  /** What the cancel could not clean up, in words. */
  readonly remains?: string | undefined;
}
