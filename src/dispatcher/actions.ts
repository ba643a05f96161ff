import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import { announcements, jobReference } from "../api/announcements.ts";
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
  "the API server does not answer, perhaps because a webhook for Jobs does not answer; the dispatcher tries again";
const NOT_PAUSED = "its target cannot be paused";

export interface ActionContext {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly writesInFlight: WritesInFlight;
  readonly templates: TemplateStore;
  /** Writes an Event in the background. */
  readonly announce: (operation: VeleroOperation, announcement: Announcement) => void;
  /** The namespace of the Jobs. */
  readonly jobNamespace: string;
  /** How long one call may take, in milliseconds. */
  readonly callTimeoutMs: number;
  /** Called when the API server has no room for the status of an Operation, which has to wait until somebody changes it. */
  readonly onNotWritten: (operation: VeleroOperation) => void;
}

/**
 * Carries out a decision. Every action may be repeated: a status write carries the resourceVersion it was decided on, a Job has
 * the name of its attempt, and a deletion names the UID. If the object has changed since the decision, nothing is done: the
 * watch shows the change, and the dispatcher decides again.
 *
 * @throws ApiError, UnreachableError: the queue tries again later
 */
export async function carryOut(
  context: ActionContext,
  operation: VeleroOperation,
  action: Action,
  logger: Logger,
): Promise<void> {
  switch (action.kind) {
    case "writeStatus":
      return await writeStatus(context, operation, action.status, logger);
    case "createJob":
      return await createJob(context, operation, action, logger);
    case "deleteJob":
      return await deleteJob(context, action, logger);
    case "announce":
      logger.warn({ reason: action.announcement.reason }, action.announcement.message);
      return context.announce(operation, action.announcement);
    case "annotateTarget":
      return await pauseTarget(context, operation, action, logger);
  }
}

async function writeStatus(
  context: ActionContext,
  operation: VeleroOperation,
  status: Status,
  logger: Logger,
): Promise<void> {
  const { client, writesInFlight, announce, callTimeoutMs: timeoutMs } = context;
  const options = { fieldManager: FIELD_MANAGER, timeoutMs };
  const isUnanswered = writesInFlight.current(operation) !== operation;
  writesInFlight.begin(operation, status);
  try {
    // Beside the status, the API server takes only the resourceVersion; everything else stays as it is stored.
    const replace = (form: Status) => client.replaceStatus(trimmedOperations, { ...operation, status: form }, options);
    writesInFlight.confirm(operation, await writeFitting(status, replace));
  } catch (error) {
    // Without an answer the status may have been written: it counts until the watch or the next try shows otherwise.
    // A conflict after such a write says that it, or another one, succeeded: it counts until the watch shows which.
    const mayBeWritten = error instanceof UnreachableError || (isUnanswered && isConflict(error));
    if (!mayBeWritten) writesInFlight.drop(operation);
    if (isTooLarge(error)) return reportTooLarge(context, operation, error, logger);
    if (!isConflict(error) && !isNotFound(error)) throw error;
    context.onNotWritten(operation);
    logger.debug({ err: error }, "the Operation has changed meanwhile; the dispatcher decides again");
    return;
  }
  for (const announcement of announcements(operation.status, status)) {
    logger.info({ reason: announcement.reason, phase: status.phase }, announcement.message);
    announce(operation, announcement);
  }
}

/** Trying again would end the same way until somebody makes the Operation smaller; the watch then shows that. */
function reportTooLarge(context: ActionContext, operation: VeleroOperation, error: unknown, logger: Logger): void {
  const message =
    "the Operation is so large that the API server's store has no room for its status; create a smaller one";
  logger.error({ err: error }, message);
  context.onNotWritten(operation);
  // The same moment at each try, so that only one Event is written.
  context.announce(operation, {
    type: "Warning",
    reason: "StatusTooLarge",
    action: "WriteStatus",
    message,
    at: operation.metadata.creationTimestamp,
  });
}

async function createJob(
  context: ActionContext,
  operation: VeleroOperation,
  { name, manifest }: Extract<Action, { kind: "createJob" }>,
  logger: Logger,
): Promise<void> {
  const { client, announce, clock, templates, jobNamespace, callTimeoutMs: timeoutMs } = context;
  let uid: string;
  try {
    const created = await client.create(jobs, manifest, { fieldManager: FIELD_MANAGER, timeoutMs });
    uid = created.metadata.uid;
  } catch (error) {
    if (isAlreadyExists(error)) return await adoptJob(context, operation, name, logger);
    if (error instanceof UnreachableError) await reportNotCreated(context, operation, NO_ANSWER, logger);
    if (error instanceof ApiError) {
      const fields = wrongFields(error);
      if (fields.length > 0) {
        logger.error({ err: error, job: name }, "the API server refuses the Job made from the template");
        return templates.markUnusable(operation.spec.type, fields);
      }
      await reportNotCreated(context, operation, refusal(error), logger);
    }
    throw error;
  }
  logger.info({ job: name }, "Job created");
  const message = `Created Job ${jobNamespace}/${name}`;
  announce(operation, {
    type: "Normal",
    reason: "JobCreated",
    action: "CreateJob",
    related: jobReference(name, jobNamespace, uid),
    message,
    at: timestamp(clock.now()),
  });
}

/**
 * The fields because of which the API server will never accept this Job. What the dispatcher sets itself is valid, so they come
 * from the template. Admission plugins name no fields: they may refuse the Job of one tenant and accept another's.
 */
function wrongFields(error: ApiError): string[] {
  return isInvalid(error) ? error.causes.map(({ field }) => field).filter((field) => field !== undefined) : [];
}

/**
 * Why the API server refused a call, for the tenant to read: in the same words at each retry, and without the server's own
 * message, which may name hosts and service accounts. The log has that message.
 */
function refusal(error: ApiError): string {
  if (isTransient(error) && isForbidden(error))
    return "exceeded quota in the namespace of the Jobs; the dispatcher tries again";
  const reason = /^[A-Za-z]{1,64}$/.test(error.reason) ? ` ${error.reason}` : "";
  return `the API server answered ${error.code}${reason}; the dispatcher's log has the whole message`;
}

/** The name is taken: by the dispatcher's own Job, if the answer to its create was lost; otherwise the status reports it. */
async function adoptJob(
  context: ActionContext,
  operation: VeleroOperation,
  name: string,
  logger: Logger,
): Promise<void> {
  const { client, jobNamespace: namespace, callTimeoutMs: timeoutMs } = context;
  const job = await client.get(jobs, { namespace, name }, { timeoutMs });
  if (operationUidOf(job) === operation.metadata.uid) return logger.info({ job: name }, "Job exists already, adopted");
  const problem = `Job ${namespace}/${name} was not made for this Operation, but has the name that its Job needs; delete it`;
  await reportNotCreated(context, operation, problem, logger);
  throw new Error(problem);
}

/**
 * Pauses the target. Without the pause the Operation gets no Job, or is not admitted if it has one, so a failure is reported in
 * the status, except once a runner writes it.
 */
async function pauseTarget(
  context: ActionContext,
  operation: VeleroOperation,
  action: Extract<Action, { kind: "annotateTarget" }>,
  logger: Logger,
): Promise<void> {
  try {
    // The target's watch brings the change, and with it the next try.
    if (!(await annotateTarget(context, action, logger))) context.onNotWritten(operation);
  } catch (error) {
    const { status } = operation;
    const runnerWrites = isAdmitted(status) && (status?.runner?.jobUIDs ?? []).length > 0;
    if (error instanceof ApiError && !runnerWrites)
      await reportNotCreated(context, operation, `${NOT_PAUSED}: ${refusal(error)}`, logger);
    throw error;
  }
}

/**
 * Sets or removes annotations of a target, but only in the state that the decision saw.
 *
 * @returns false if the target is gone or has changed meanwhile
 */
export async function annotateTarget(
  { client, callTimeoutMs: timeoutMs }: Pick<ActionContext, "client" | "callTimeoutMs">,
  { target, resourceVersion, annotations, why }: Extract<Action, { kind: "annotateTarget" }>,
  logger: Logger,
): Promise<boolean> {
  const logged = { target: `${target.namespace}/${target.name}` };
  try {
    const patch = { metadata: { resourceVersion, annotations } };
    await client.mergePatch(applicationInstances, target, patch, { fieldManager: FIELD_MANAGER, timeoutMs });
    logger.info({ ...logged, why }, "target annotated");
    return true;
  } catch (error) {
    if (!isConflict(error) && !isNotFound(error)) throw error;
    logger.debug({ ...logged, err: error }, "target is gone, or has changed meanwhile");
    return false;
  }
}

/** Writes why the Operation has no Job. The queue sees to it that the dispatcher tries again. */
async function reportNotCreated(
  context: ActionContext,
  operation: VeleroOperation,
  why: string,
  logger: Logger,
): Promise<void> {
  const { status, metadata } = operation;
  const now = context.clock.now();
  const next = nextStatus(status, notCreated(status, why, now), { now, generation: metadata.generation });
  if (!isDeepStrictEqual(next, status)) await writeStatus(context, operation, next, logger);
}

/**
 * Deletes a Job and its pods, but only in the state that the decision saw: not another Job that has the name by now, and not this
 * one if it has got a pod that the watch has not shown yet.
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
    logger.debug({ err: error, job: name }, "Job is gone already, or has changed meanwhile");
  }
}
