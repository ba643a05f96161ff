import type { VeleroOperation } from "../api/operation.ts";
import type { VeleroObject } from "../api/velero.ts";

/**
 * The run may not act, and has written nothing: the Operation is not admitted, not a Backup or Restore by Velero, or
 * cancelled.
 */
export class RunMustEnd extends Error {
  override readonly name = "RunMustEnd";
}

/** The Operation was deleted, or another one has its name now. The run must cancel its unfinished Velero objects. */
export class OperationGone extends Error {
  override readonly name = "OperationGone";
  /** The uid of the deleted Operation; undefined if this run never saw it. */
  readonly uid: string | undefined;

  constructor(message: string, uid: string | undefined) {
    super(message);
    this.uid = uid;
  }
}

/** This attempt has ended, by this run or by another writer. Its result stays as it is. */
export class AttemptOver extends Error {
  override readonly name = "AttemptOver";
  readonly operation: VeleroOperation;

  constructor(operation: VeleroOperation) {
    super(`this attempt of ${operation.metadata.namespace}/${operation.metadata.name} is over`);
    this.operation = operation;
  }
}

/**
 * Another run has created the attempt's Velero object, removed it, or switched to its other name: what this run saw is
 * out of date.
 */
export class ObjectChanged extends Error {
  override readonly name = "ObjectChanged";
}

/** The attempt is not admitted, or no longer: the run waits until the dispatcher admits it. */
export class RunMustWait extends Error {
  override readonly name = "RunMustWait";
}

/**
 * The Velero object cannot be created, or failed Velero's validation, only because its storage location is unavailable.
 * Later it can be created.
 */
export class LocationUnavailable extends Error {
  override readonly name = "LocationUnavailable";
  /** The BackupStorageLocation to wait for; undefined if Velero does not name it. */
  readonly location: string | undefined;
  /** The object that failed validation because of the location. */
  readonly refused: VeleroObject | undefined;

  constructor(message: string, location: string | undefined, refused?: VeleroObject) {
    super(message);
    this.location = location;
    this.refused = refused;
  }
}

/** The Operation cannot be carried out: the run writes this into the status and ends the attempt. */
export class Failure extends Error {
  override readonly name = "Failure";
  /** The reason of Failed=True. */
  readonly reason: string;
  /** Whether to write Accepted=False as well, because the Operation should not have been accepted. */
  readonly invalid: boolean;

  constructor(reason: string, message: string, { invalid = false }: { invalid?: boolean } = {}) {
    super(message);
    this.reason = reason;
    this.invalid = invalid;
  }
}
