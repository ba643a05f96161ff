import { type CancelReason, cancelDecided, decidedReason } from "../../api/cancel.ts";
import { cutBytes } from "../../api/message.ts";
import type { OperationType, VeleroOperation } from "../../api/operation.ts";
import { ConditionType, Reason } from "../../api/reasons.ts";
import { type ConditionChange, conditionOf } from "../../api/status.ts";
import { type DeleteBackupRequest, deleteBackupRequests, type VeleroObject } from "../../api/velero.ts";
import { type Backoff, backoffDelay } from "../../kube/backoff.ts";
import { mayPassLater } from "../../kube/errors.ts";
import type { Resource } from "../../kube/resource.ts";
import { attemptIn, readAttempt } from "../attempt/attempt.ts";
import { writeStatus } from "../attempt/writeStatus.ts";
import { type RunnerContext, retryingBriefly } from "../context.ts";
import { redactedNotes } from "../hideVeleroMessages.ts";
import type { ObjectEnd } from "../object/recordedObject.ts";
import { remove } from "../object/remove.ts";
import { getVelero, veleroResource } from "../object/veleroObject.ts";
import { findArchiveOwner } from "./archiveOwner.ts";
import { deletionProgressed, objectChanged, phaseChanged } from "./awaitChange.ts";
import {
  type ArchiveOwner,
  type CancelResult,
  type CancelStep,
  finishedBeforeCancel,
  nextCancelStep,
} from "./cancelStep.ts";
import { cancelVolumeData } from "./cancelVolumeData.ts";
import { createDeleteRequest, deleteRequestsFor } from "./deleteRequests.ts";

/** The pause between two requests that Velero did not carry out, as while the storage location is unavailable. */
const REFUSED: Backoff = { minMs: 5_000, maxMs: 60_000 };
/** The pause before the runner looks whether a request took effect whose answer was lost. */
const UNANSWERED: Backoff = { minMs: 500, maxMs: 30_000 };

export interface CancelOptions {
  /** An earlier run has recorded the cancel already: then an object that has finished since is not kept. */
  readonly decided?: boolean;
  /** Is given, in words for the Operation's status, what the cancel waits for. */
  readonly report?: (message: string) => Promise<void>;
}

/**
 * Ends a Backup or a Restore on request, step by step as {@link nextCancelStep} decides, however long Velero takes. Only
 * the context's signal ends it early; then the next run continues. docs/contract.md#cancel-delete-re-run.
 *
 * @param object as it was when the cancel was seen: if it was Completed or PartiallyFailed by then, it is kept, unless the
 *   cancel was decided before
 * @throws ApiError and UnreachableError when a call to the API server fails; the signal's reason once it aborts
 */
export async function cancelObject(
  context: RunnerContext,
  type: OperationType,
  object: VeleroObject,
  options: CancelOptions = {},
): Promise<CancelResult> {
  const cancellation = new Cancellation(context, type, object, options);
  for (;;) {
    const step = await cancellation.decide();
    if (step.do === "end") return step.result;
    await cancellation.take(step);
  }
}

/** What one call of {@link cancelObject} remembers between its steps. */
class Cancellation {
  readonly #context: RunnerContext;
  readonly #type: OperationType;
  readonly #resource: Resource<VeleroObject>;
  readonly #asked: VeleroObject;
  readonly #decided: boolean;
  readonly #report: (message: string) => Promise<void>;
  #last: VeleroObject;
  /** The requests for the deletion of a Backup of this name, as they were read last. */
  #deleteRequests: readonly DeleteBackupRequest[] = [];
  #archiveOwner: ArchiveOwner | undefined;
  /** How many requests Velero has not carried out. */
  #refusals = 0;
  /** How many requests the API server has not answered. */
  #unanswered = 0;
  /** The pause after the last refusal is over. */
  #paused = false;

  constructor(
    context: RunnerContext,
    type: OperationType,
    object: VeleroObject,
    { decided = false, report = async () => {} }: CancelOptions,
  ) {
    this.#context = context;
    this.#type = type;
    this.#resource = veleroResource(type);
    this.#asked = object;
    this.#decided = decided;
    this.#report = report;
    this.#last = object;
  }

  /** Reads everything that the next step depends on, and decides that step. */
  async decide(): Promise<CancelStep> {
    const { name } = this.#asked.metadata;
    // In this order: if a request was done when it was read, then the Backup was read after the request was done.
    if (this.#type === "Backup") this.#deleteRequests = await deleteRequestsFor(this.#context, name);
    const now = await getVelero(this.#context, this.#type, name);
    const step = nextCancelStep({
      whenCancelSeen: this.#asked,
      decided: this.#decided,
      lastSeen: this.#last,
      now,
      deleteRequests: this.#deleteRequests,
      archiveOwner: this.#archiveOwner,
    });
    this.#context.logger.debug({ step: step.do, phase: now?.status?.phase }, "next step of the cancel");
    if ("object" in step && step.object !== undefined) this.#last = step.object;
    return step;
  }

  async take(step: Exclude<CancelStep, { do: "end" }>): Promise<void> {
    const context = this.#context;
    switch (step.do) {
      case "delete":
        return await remove(context, this.#resource, step.object, step.unchanged);
      case "waitForStart":
        await this.#report("cancel: waiting until Velero has started the backup; it cannot be removed before that");
        return await objectChanged(context, this.#resource, step.object, context.signal);
      case "waitForRun":
        return await this.#waitForRun(step.object);
      case "waitForDeletion":
        return await this.#waitForDeletion(step.object);
      case "inspectStore":
        this.#archiveOwner = await findArchiveOwner(retryingBriefly(context), step.object);
        return;
      case "requestDeletion":
        // After the pause everything is read again: another object may have the name by then.
        if (step.errors.length > 0 && !this.#paused) return await this.#pauseAfterRefusal(step.object, step.errors);
        return await this.#requestDeletion(step.object);
      case "withdraw":
        for (const request of step.requests) await remove(context, deleteBackupRequests, request, true);
    }
  }

  async #waitForRun(object: VeleroObject): Promise<void> {
    const phase = object.status?.phase;
    await this.#report(`cancel: waiting for the end of Velero's run, which cannot be interrupted (phase ${phase})`);
    if (this.#type === "Backup") await cancelVolumeData(this.#context, object);
    await phaseChanged(this.#context, this.#resource, object);
  }

  async #waitForDeletion(object: VeleroObject | undefined): Promise<void> {
    const { name } = this.#asked.metadata;
    await this.#report(`cancel: waiting until Velero has deleted the ${this.#type}`);
    await deletionProgressed(this.#context, this.#type, name, object, this.#deleteRequests);
  }

  async #pauseAfterRefusal(object: VeleroObject, errors: readonly string[]): Promise<void> {
    const { logger, clock, signal } = this.#context;
    this.#refusals += 1;
    logger.warn({ errors }, "Velero did not delete the backup, the runner will ask again");
    const notes = redactedNotes(this.#context, errors, object).join("; ");
    await this.#report(`cancel: Velero did not delete the backup, the runner will ask again: ${notes}`);
    await clock.sleep(backoffDelay(this.#refusals, REFUSED, Math.random()), signal);
    this.#paused = true;
  }

  async #requestDeletion(object: VeleroObject): Promise<void> {
    const { logger, clock, signal } = this.#context;
    this.#paused = false;
    this.#archiveOwner = undefined;
    try {
      await createDeleteRequest(this.#context, object);
    } catch (error) {
      if (!mayPassLater(error)) throw error;
      this.#unanswered += 1;
      const failures = this.#unanswered;
      logger.warn({ err: error, failures }, "no answer to the DeleteBackupRequest, looking again whether it exists");
      await clock.sleep(backoffDelay(failures, UNANSWERED, Math.random()), signal);
    }
  }
}

export function cancelDecision(reason: CancelReason, message: string): ConditionChange {
  return { type: ConditionType.cancelled, status: "Unknown", reason, message };
}

export const CANCEL_REQUESTED = cancelDecision(
  Reason.cancelRequested,
  "the cancel was requested, and the runner is removing the Velero object",
);

/**
 * Ends the object, on request or because Velero has taken too long. First it records the cancel and its reason, so that
 * a later run continues the cancel even if this one is killed. A cancel that was recorded before keeps its reason.
 */
export async function cancelOperation(
  context: RunnerContext,
  operation: VeleroOperation,
  followed: VeleroObject,
  decision: ConditionChange,
): Promise<ObjectEnd> {
  const attempt = attemptIn(operation);
  const decided = cancelDecided(await readAttempt(context, attempt));
  // The object may be as it was a while ago: a watch lags, or a call took long. What Velero has finished by now is kept.
  const read = await getVelero(context, operation.spec.type, followed.metadata.name);
  const object = read?.metadata.uid === followed.metadata.uid ? read : followed;
  if (!finishedBeforeCancel({ whenCancelSeen: object, decided })) {
    await writeStatus(context, attempt, (latest) => {
      const before = decidedReason(latest) ?? decision.reason;
      return before === decision.reason ? { conditions: [decision] } : {};
    });
  }
  const report = async (message: string): Promise<void> => {
    await writeStatus(context, attempt, ({ status }) => {
      const running = conditionOf(status, ConditionType.running);
      const { status: is = "False", reason = Reason.pending } = running ?? {};
      return { conditions: [{ type: ConditionType.running, status: is, reason, message: cutBytes(message) }] };
    });
  };
  const result = await cancelObject(context, operation.spec.type, object, { decided, report });
  if (result.kind === "kept") return { object: result.object };
  return { object: undefined, cancelled: true, remains: result.remains };
}
