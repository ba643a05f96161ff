import type { VeleroOperation } from "../api/operation.ts";
import type { VeleroObject } from "../api/velero.ts";

/** The run may not act, and has written nothing: not admitted, not ours, not while it is cancelled. */
export class RunNotAllowed extends Error {
  override readonly name = "Refused";
}

/** The Operation was deleted, or another one has its name now: what is unfinished of it is to be cleaned up. */
export class OperationGone extends Error {
  override readonly name = "OperationGone";
  /** Whose Velero objects are left; undefined where no such Operation was ever seen. */
  readonly uid: string | undefined;

  constructor(message: string, uid: string | undefined) {
    super(message);
    this.uid = uid;
  }
}

/** This attempt has ended, whoever wrote it; nothing is written over it. */
export class AttemptOver extends Error {
  override readonly name = "AttemptOver";
  readonly operation: VeleroOperation;

  constructor(operation: VeleroOperation) {
    super(`this attempt of ${operation.metadata.namespace}/${operation.metadata.name} is over`);
    this.operation = operation;
  }
}

/** Another run has made the attempt's object, or turned to its other name: what was seen before says nothing any more. */
export class ObjectChanged extends Error {
  override readonly name = "ObjectChanged";
}

/** The attempt is not admitted (any more): it waits for the dispatcher, as an attempt does that was opened by hand. */
export class NotAdmitted extends Error {
  override readonly name = "NotAdmitted";
}

/** Nothing can be made now, because Velero could not store or read it; later it can. */
export class LocationUnavailable extends Error {
  override readonly name = "LocationUnavailable";
  /** The BackupStorageLocation that is waited for; undefined where Velero does not tell. */
  readonly location: string | undefined;
  /** What Velero refused because of it. */
  readonly refused: VeleroObject | undefined;

  constructor(message: string, location: string | undefined, refused?: VeleroObject) {
    super(message);
    this.location = location;
    this.refused = refused;
  }
}

/** The Operation cannot be carried out; the status is to say so. */
export class Failure extends Error {
  override readonly name = "Failure";
  /** The reason of Failed=True. */
  readonly reason: string;
  /** Also Accepted=False: the Operation should not have been accepted as it stands. */
  readonly invalid: boolean;

  constructor(reason: string, message: string, { invalid = false }: { invalid?: boolean } = {}) {
    super(message);
    this.reason = reason;
    this.invalid = invalid;
  }
}
