import { cancelDecided, cancelRequested } from "../api/cancel.ts";
import { Annotation } from "../api/labels.ts";
import { isTerminal, type VeleroOperation } from "../api/operation.ts";
import { ConditionType, Reason } from "../api/reasons.ts";
import { conditionOf, openAttempt, resumeAttempt, type StatusChange } from "../api/status.ts";
import { admittedChange } from "./admission/admission.ts";
import { digest } from "./digest.ts";
import { deletionOf, endedOwnJob } from "./jobState.ts";
import { quoted } from "./message.ts";
import { livesOn } from "./order.ts";
import { NOTHING, unblocked, write } from "./statusWrite.ts";
import type { Decision, World } from "./world.ts";

const MAX_TOKEN = 128;
/** After so many Jobs that gave up on a cancel, each with its own retries, a person has to look. */
const MAX_CANCEL_RESUMES = 3;

/**
 * An ended Operation: nothing more happens to it, unless its runner gave up before a cancel was carried out, or it failed
 * and its annotation asks for another run by a token that was not acted on yet. docs/contract.md, Cancel, delete, re-run.
 *
 * @returns undefined for an Operation that has not ended
 */
export function ended(operation: VeleroOperation, world: World): Decision | undefined {
  const { status } = operation;
  if (status === undefined || !isTerminal(status.phase)) return undefined;
  const { cancelResumes = 0 } = status.runner ?? {};
  if (cancelResumes < MAX_CANCEL_RESUMES && isCancelUnfinished(operation, world)) {
    return resume(operation, world, { runner: { ...status.runner, cancelResumes: cancelResumes + 1 } });
  }
  const token = rerunToken(operation);
  if (status.phase !== "Failed" || token === undefined || token === status.observedRerun) {
    return withdrawn(operation, world);
  }
  if (cancelRequested(operation)) {
    const message = `re-run ${quoted(token)} is refused: remove ${Annotation.cancel} first`;
    return write(operation, world, {
      conditions: [{ type: ConditionType.blocked, status: "True", reason: Reason.rerunRefused, message }],
    });
  }
  if (livesOn(operation, world)) {
    // Somebody has looked: a later cancel has all its tries again.
    const { cancelResumes: _spent, successors: _made, ...runner } = status.runner ?? {};
    return resume(operation, world, { runner, observedRerun: token });
  }
  return write(operation, world, { observedRerun: token }, openAttempt(status));
}

/**
 * The runner gave up between a cancel and its end. Once it has acted on that, it does not matter what has become of
 * Velero's object since: Velero may have completed it, which then still has to go.
 */
function isCancelUnfinished(operation: VeleroOperation, world: World): boolean {
  if (conditionOf(operation.status, ConditionType.failed)?.reason !== Reason.runnerFailed) return false;
  return cancelDecided(operation) || (cancelRequested(operation) && livesOn(operation, world));
}

/**
 * Back to following Velero's object, which holds its namespace and its slot all along. The dispatcher's Job that
 * gave up goes first: whoever found it beside an attempt under way would end that once more. One made by hand stays, and is
 * noted as past.
 */
function resume(
  operation: VeleroOperation,
  world: World,
  { runner, ...change }: Pick<StatusChange, "runner" | "observedRerun">,
): Decision {
  const old = endedOwnJob(operation, world);
  if (old?.metadata.deletionTimestamp !== undefined) return NOTHING;
  if (old !== undefined) return { action: deletionOf(old, "it gave up, and the same attempt is to be resumed") };
  const resumedAfter = runner?.jobUIDs?.at(-1);
  const past = { ...runner, ...(resumedAfter !== undefined && { resumedAfter }) };
  const resumed = resumeAttempt({ ...operation.status, runner: past });
  const admitted = admittedChange({ ...operation, status: resumed }, world);
  return write(operation, world, { ...admitted, ...change }, resumed);
}

/** A refusal of a re-run that nobody asks for any more. */
function withdrawn(operation: VeleroOperation, world: World): Decision {
  const blocked = conditionOf(operation.status, ConditionType.blocked);
  if (blocked?.status !== "True" || blocked.reason !== Reason.rerunRefused) return NOTHING;
  return write(operation, world, { conditions: unblocked(operation.status) });
}

/** The token as it is recorded: as it stands, or a digest of one that is too long or unprintable for a status. */
function rerunToken({ metadata: { annotations } }: VeleroOperation): string | undefined {
  const token = annotations?.[Annotation.rerun] ?? "";
  if (token === "") return undefined;
  if (token.length <= MAX_TOKEN && /^[\x20-\x7e]+$/.test(token)) return token;
  return digest(token);
}
