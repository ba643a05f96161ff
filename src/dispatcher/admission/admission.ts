import { specDigest } from "../../api/digest.ts";
import { jobName } from "../../api/names.ts";
import { attemptOf, jobsOfAttempt, type VeleroOperation } from "../../api/operation.ts";
import { ConditionType, Reason } from "../../api/reasons.ts";
import type { ConditionChange, StatusChange } from "../../api/status.ts";
import { activeJobs } from "../jobs/jobState.ts";
import { decideStatus, unblocked } from "../state/statusDecision.ts";
import type { Decision, World } from "../state/world.ts";
import { approvalEnds } from "./checks/approval.ts";
import { firstHindrance } from "./checks.ts";
import { placeText } from "./entrants.ts";
import type { Hindrance } from "./hindrance.ts";
import { pauseAhead } from "./pauseTarget.ts";

/**
 * Whether an Operation may run now, and what its status says if not. What holds it back shows as Accepted=False, Blocked=True or
 * Running=False/Queued. Until the decision Accepted is Unknown. It becomes True only when the Job may be made, because a runner
 * begins as soon as it sees Accepted=True. docs/contract.md#admission.
 */
export function admission(operation: VeleroOperation, world: World): Decision {
  const hindrance = firstHindrance(operation, world);
  if (hindrance !== undefined) return decideStatus(operation, world, hindranceStatus(operation, hindrance));
  const place = world.placeOf(operation);
  switch (place.kind) {
    case "free": {
      const pause = pauseAhead(operation, world);
      if (pause === undefined) return decideStatus(operation, world, admittedChange(operation, world));
      // What held it back until now is over, even if the pause then fails and the status says so.
      const conditions = [undecided, ...unblocked(operation.status)];
      return { action: pause, ...decideStatus(operation, world, { phase: "Pending", conditions }) };
    }
    case "conflict":
    case "orphanedWork":
      return untilApprovalEnds(operation, world, conflicting(operation, placeText(operation.spec, place, world)));
    case "queued": {
      const running = notRunning(Reason.queued, placeText(operation.spec, place, world));
      const conditions = [undecided, ...unblocked(operation.status), running];
      return untilApprovalEnds(operation, world, { phase: "Pending", conditions });
    }
  }
}

function conflicting(operation: VeleroOperation, message: string): StatusChange {
  return hindranceStatus(operation, { effect: "blocked", reason: Reason.conflictingOperation, message });
}

/**
 * The status of an Operation whose Job may be made; the dispatcher writes it before it creates the Job. If people made a Job for
 * this attempt, that is its Job.
 */
export function admittedChange(operation: VeleroOperation, world: World): StatusChange {
  const { name, uid } = operation.metadata;
  const attempt = attemptOf(operation);
  const known = jobsOfAttempt(operation.status?.runner);
  const made = activeJobs(operation, world).find(({ metadata }) => known.includes(metadata.uid));
  // A Job that ended while the attempt was held back is not the attempt's failure.
  const past = made === undefined ? known.at(-1) : undefined;
  const job = {
    name: made?.metadata.name ?? jobName({ name, uid }, attempt),
    namespace: world.settings.jobNamespace,
  };
  return {
    phase: "Pending",
    admittedSpec: specDigest(operation.spec),
    conditions: [
      accepted("True", Reason.templateValidated, "the Operation is valid and admitted"),
      ...unblocked(operation.status),
      notRunning(Reason.pending, `Job ${job.name} carries it out`),
    ],
    runner: {
      ...operation.status?.runner,
      attempt,
      jobName: job.name,
      jobNamespace: job.namespace,
      ...(past !== undefined && { resumedAfter: past }),
    },
    logsRef: { apiVersion: "batch/v1", kind: "Job", ...job },
  };
}

/** The status of an Operation that a check of its own holds back, or that can never run. */
export function hindranceStatus({ status }: VeleroOperation, { effect, reason, message }: Hindrance): StatusChange {
  switch (effect) {
    case "invalid":
      return {
        phase: "Failed",
        conditions: [
          accepted("False", reason, message),
          ...unblocked(status),
          { type: ConditionType.failed, status: "True", reason, message },
          notRunning(reason, message),
        ],
      };
    case "rejected":
      return {
        phase: "Pending",
        conditions: [
          accepted("False", reason, message),
          ...unblocked(status),
          notRunning(Reason.pending, NOT_ADMITTED),
        ],
      };
    case "blocked":
      return {
        phase: "Pending",
        conditions: [
          undecided,
          { type: ConditionType.blocked, status: "True", reason, message },
          notRunning(Reason.pending, NOT_ADMITTED),
        ],
      };
  }
}

const NOT_ADMITTED = "not admitted yet";

const undecided = accepted("Unknown", Reason.pending, NOT_ADMITTED);

function accepted(status: ConditionChange["status"], reason: string, message: string): ConditionChange {
  return { type: ConditionType.accepted, status, reason, message };
}

function notRunning(reason: string, message: string): ConditionChange {
  return { type: ConditionType.running, status: "False", reason, message };
}

/** The approval of an Operation that waits may expire meanwhile. */
function untilApprovalEnds(operation: VeleroOperation, world: World, change: StatusChange): Decision {
  const lookAgainAt = approvalEnds(operation, world);
  return { ...decideStatus(operation, world, change), ...(lookAgainAt && { lookAgainAt }) };
}
