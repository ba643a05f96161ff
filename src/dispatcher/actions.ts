import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import { announcements } from "../api/announcements.ts";
import { applicationInstances } from "../api/applicationInstance.ts";
import type { Status, VeleroOperation } from "../api/operation.ts";
import { isAdmitted, nextStatus, timestamp } from "../api/status.ts";
import { writeFitting } from "../api/statusSize.ts";
import type { KubeClient } from "../kube/client.ts";
import type { Clock } from "../kube/clock.ts";
import {
  ApiError,
  isAlreadyExists,
  isConflict,
  isForbidden,
  isInvalid,
  isNotFound,
  isTooLarge,
  isTransient,
  UnreachableError,
} from "../kube/errors.ts";
import type { Announcement } from "../kube/events.ts";
import { jobs } from "../kube/resources.ts";
import { notCreated } from "./jobs/jobTroubles.ts";
import { operationUidOf } from "./state/owners.ts";
import { trimmedOperations } from "./state/trim.ts";
import type { Action } from "./state/world.ts";
import type { WritesInFlight } from "./state/writesInFlight.ts";
import { FIELD_MANAGER } from "./templates/buildJob.ts";
import type { TemplateStore } from "./templates/templateStore.ts";

const NO_ANSWER =
  "the API server gives no answer to it, perhaps because a webhook for Jobs gives none; it is tried again";
const NOT_PAUSED = "its target cannot be paused";

export interface ActionContext {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly writesInFlight: WritesInFlight;
  readonly templates: TemplateStore;
  /** Writes an Event, sooner or later; nothing waits for it. */
  readonly announce: (operation: VeleroOperation, announcement: Announcement) => void;
  /** Where the Jobs are. */
  readonly jobNamespace: string;
  /** How long one call may take, in milliseconds. */
  readonly callTimeoutMs: number;
  /** Told when the status of an Operation cannot be written until that changes. */
  readonly onNoRoom: (operation: VeleroOperation) => void;
}

/**
 * Carries out what was decided. Every action may be repeated: a status write carries the resourceVersion it was decided
 * on, a Job has the name of its attempt, and a deletion names the uid. What does not fit any more is left undone: the watch
 * shows why, and it is decided again.
 *
 * @throws ApiError, UnreachableError: to be tried again later
 */
export async function carryOut(
  hands: ActionContext,
  operation: VeleroOperation,
  action: Action,
  logger: Logger,
): Promise<void> {
  switch (action.kind) {
    case "writeStatus":
      return await writeStatus(hands, operation, action.status, logger);
    case "createJob":
      return await createJob(hands, operation, action, logger);
    case "deleteJob":
      return await deleteJob(hands, action, logger);
    case "announce":
      logger.warn({ reason: action.announcement.reason }, action.announcement.message);
      return hands.announce(operation, action.announcement);
    case "annotateTarget":
      return await pauseTarget(hands, operation, action, logger);
  }
}

async function writeStatus(
  hands: ActionContext,
  operation: VeleroOperation,
  status: Status,
  logger: Logger,
): Promise<void> {
  const { client, writesInFlight, announce, callTimeoutMs: timeoutMs } = hands;
  const options = { fieldManager: FIELD_MANAGER, timeoutMs };
  writesInFlight.begin(operation, status);
  try {
    // Of what is not status the API server takes the version only; the rest stays as it has it.
    const replace = (form: Status) => client.replaceStatus(trimmedOperations, { ...operation, status: form }, options);
    writesInFlight.confirm(operation, await writeFitting(status, replace));
  } catch (error) {
    // No answer: it may have been written, so it still counts until the watch or the next try tells.
    if (!(error instanceof UnreachableError)) writesInFlight.drop(operation);
    if (isTooLarge(error)) return reportTooLarge(hands, operation, error, logger);
    if (!isConflict(error) && !isNotFound(error)) throw error;
    logger.debug({ err: error }, "Operation changed meanwhile, will be decided again");
    return;
  }
  for (const announcement of announcements(operation.status, status)) {
    logger.info({ reason: announcement.reason, phase: status.phase }, announcement.message);
    announce(operation, announcement);
  }
}

/** Another try ends the same way until somebody makes the Operation smaller, which then wakes it. */
function reportTooLarge(hands: ActionContext, operation: VeleroOperation, error: unknown, logger: Logger): void {
  const message =
    "the Operation is so large that the API server's store has no room for its status: make a smaller one";
  logger.error({ err: error }, message);
  hands.onNoRoom(operation);
  // A moment that stays the same: it is told once.
  hands.announce(operation, {
    type: "Warning",
    reason: "StatusTooLarge",
    message,
    at: operation.metadata.creationTimestamp,
  });
}

async function createJob(
  hands: ActionContext,
  operation: VeleroOperation,
  { name, manifest }: Extract<Action, { kind: "createJob" }>,
  logger: Logger,
): Promise<void> {
  const { client, announce, clock, templates, jobNamespace, callTimeoutMs: timeoutMs } = hands;
  try {
    await client.create(jobs, manifest, { fieldManager: FIELD_MANAGER, timeoutMs });
  } catch (error) {
    if (isAlreadyExists(error)) return await adoptJob(hands, operation, name, logger);
    if (error instanceof UnreachableError) await reportNotCreated(hands, operation, NO_ANSWER, logger);
    if (error instanceof ApiError) {
      const fields = wrongFields(error);
      if (fields.length > 0) {
        logger.error({ err: error, job: name }, "the API server refuses what is made from the template");
        return templates.reject(operation.spec.type, fields);
      }
      await reportNotCreated(hands, operation, refusal(error), logger);
    }
    throw error;
  }
  logger.info({ job: name }, "Job created");
  const message = `Created Job ${jobNamespace}/${name}`;
  announce(operation, { type: "Normal", reason: "JobCreated", message, at: timestamp(clock.now()) });
}

/**
 * The fields for which no API server will ever take this Job. All that is not the template's is known to fit, so it is the
 * template's. Admission plugins name none: they may judge one tenant's Job otherwise than another's.
 */
function wrongFields(error: ApiError): string[] {
  return isInvalid(error) ? error.causes.map(({ field }) => field).filter((field) => field !== undefined) : [];
}

/**
 * Why a Job was not created, for the tenant: always in the same words while it is the same, and without the server's own,
 * which name hosts and service accounts. Those are in the log.
 */
function refusal(error: ApiError): string {
  if (isTransient(error) && isForbidden(error)) return "exceeded quota of the namespace of the Jobs, waiting for room";
  const reason = /^[A-Za-z]{1,64}$/.test(error.reason) ? ` ${error.reason}` : "";
  return `the API server answered ${error.code}${reason}; the dispatcher's log has its words`;
}

/** The name is taken: by ourselves, when a create got lost on its way back; or else by somebody to be told of. */
async function adoptJob(hands: ActionContext, operation: VeleroOperation, name: string, logger: Logger): Promise<void> {
  const { client, jobNamespace: namespace, callTimeoutMs: timeoutMs } = hands;
  const job = await client.get(jobs, { namespace, name }, { timeoutMs });
  if (operationUidOf(job) === operation.metadata.uid) return logger.info({ job: name }, "Job exists already, adopted");
  const problem = `Job ${namespace}/${name} was not made for this Operation but has the name of its Job; delete it`;
  await reportNotCreated(hands, operation, problem, logger);
  throw new Error(problem);
}

/** Without its pause the Operation gets no Job, or is not admitted if it has one, so who waits for it is told what is missing; a runner at work has the word. */
async function pauseTarget(
  hands: ActionContext,
  operation: VeleroOperation,
  action: Extract<Action, { kind: "annotateTarget" }>,
  logger: Logger,
): Promise<void> {
  try {
    await annotateTarget(hands, action, logger);
  } catch (error) {
    const { status } = operation;
    const begun = isAdmitted(status) && (status?.runner?.jobUIDs ?? []).length > 0;
    if (error instanceof ApiError && !begun)
      await reportNotCreated(hands, operation, `${NOT_PAUSED}: ${refusal(error)}`, logger);
    throw error;
  }
}

/** Sets or takes away annotations of a target, in the very state that was looked at. */
export async function annotateTarget(
  { client, callTimeoutMs: timeoutMs }: Pick<ActionContext, "client" | "callTimeoutMs">,
  { target, resourceVersion, annotations, why }: Extract<Action, { kind: "annotateTarget" }>,
  logger: Logger,
): Promise<void> {
  const about = { target: `${target.namespace}/${target.name}` };
  try {
    const patch = { metadata: { resourceVersion, annotations } };
    await client.mergePatch(applicationInstances, target, patch, { fieldManager: FIELD_MANAGER, timeoutMs });
    logger.info({ ...about, why }, "target annotated");
  } catch (error) {
    if (!isConflict(error) && !isNotFound(error)) throw error;
    logger.debug({ ...about, err: error }, "target is gone, or has changed meanwhile");
  }
}

/** Writes why the Operation has no Job; that its create is tried again is the queue's business. */
async function reportNotCreated(
  hands: ActionContext,
  operation: VeleroOperation,
  why: string,
  logger: Logger,
): Promise<void> {
  const { status, metadata } = operation;
  const context = { now: hands.clock.now(), generation: metadata.generation };
  const next = nextStatus(status, notCreated(status, why, context.now), context);
  if (!isDeepStrictEqual(next, status)) await writeStatus(hands, operation, next, logger);
}

/**
 * Deletes the Job that was looked at, with its pods: none that has its name by now, and not this one if it has got a pod
 * since, which the watch is still to tell.
 */
export async function deleteJob(
  {
    client,
    jobNamespace: namespace,
    callTimeoutMs: timeoutMs,
  }: Pick<ActionContext, "client" | "jobNamespace" | "callTimeoutMs">,
  { name, uid, resourceVersion, why }: Extract<Action, { kind: "deleteJob" }>,
  logger: Logger,
): Promise<void> {
  try {
    await client.delete(
      jobs,
      { namespace, name },
      { preconditions: { uid, resourceVersion }, propagationPolicy: "Background", timeoutMs },
    );
    logger.info({ job: name, why }, "Job deleted");
  } catch (error) {
    if (!isConflict(error) && !isNotFound(error)) throw error;
    logger.debug({ err: error, job: name }, "Job is gone already, or has changed");
  }
}
