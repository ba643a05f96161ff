import { decidedReason } from "../api/cancel.ts";
import { type Condition, isTerminal, isVeleroOperation, type Operation } from "../api/operation.ts";
import { ConditionType, type ConditionTypeName } from "../api/reasons.ts";
import { type Remedy, remedyOf, UNNOTICED } from "../api/remedies.ts";
import { conditionOf } from "../api/status.ts";
import { Exit } from "./exit.ts";

/** Where an Operation stands, in one word for people. */
export type State =
  /** Nobody has looked at it yet. */
  | "New"
  /** Another program's to carry out. */
  | "Foreign"
  | "Waiting"
  | "Running"
  | "Cancelling"
  | "Succeeded"
  | "Degraded"
  | "Failed"
  | "Cancelled";

/** Where an Operation stands, why, and since when. */
export interface Situation {
  readonly state: State;
  /** In the words of the condition that says most; empty where none says anything. */
  readonly reason: string;
  readonly message: string;
  /** RFC 3339; the Operation's creation where no condition says. */
  readonly since: string;
}

/** Where an Operation stands, from what its status says. docs/contract.md#status-mapping. */
export function situationOf(operation: Operation): Situation {
  const { status, spec, metadata } = operation;
  const since = metadata.creationTimestamp;
  if (!isVeleroOperation(operation)) {
    const message = `type ${spec?.type} with engine ${spec?.engine} is carried out by another program`;
    return { state: "Foreign", reason: status?.reason ?? "", message, since };
  }
  const is = (type: ConditionTypeName, value: Condition["status"]) => {
    const condition = conditionOf(status, type);
    return condition?.status === value ? condition : undefined;
  };
  const told = (state: State, ...candidates: (Condition | undefined)[]): Situation => {
    const { reason = "", message = "", lastTransitionTime = since } = candidates.find((one) => one) ?? {};
    return { state, reason, message, since: lastTransitionTime };
  };
  const { accepted, blocked, running, succeeded, failed, degraded, cancelled } = ConditionType;
  if (isTerminal(status?.phase)) {
    if (status?.phase === "Succeeded") {
      const isDegraded = is(degraded, "True");
      return isDegraded ? told("Degraded", isDegraded) : told("Succeeded", is(succeeded, "True"));
    }
    const wasCancelled = is(cancelled, "True");
    if (wasCancelled || status?.phase === "Cancelled") return told("Cancelled", wasCancelled);
    return told("Failed", is(failed, "True"), is(accepted, "False"));
  }
  const decided = decidedReason(operation);
  if (decided !== undefined) {
    const { message, since: from } = told("Cancelling", is(running, "False"), is(running, "True"));
    return { state: "Cancelling", reason: decided, message, since: from };
  }
  const held = is(blocked, "True") ?? is(accepted, "False");
  if (held !== undefined) return told("Waiting", held);
  const atWork = is(running, "True");
  if (atWork !== undefined) return told("Running", atWork);
  const waits = is(running, "False") ?? is(accepted, "True") ?? conditionOf(status, accepted);
  return waits === undefined ? told("New") : told("Waiting", waits);
}

/** Whether it has ended, one way or another. */
export function hasEnded({ state }: Situation): boolean {
  return ["Succeeded", "Degraded", "Failed", "Cancelled"].includes(state);
}

/** How a command ends that was to have it succeed. docs/cli.md#exit-codes. */
export function exitOf({ state }: Situation, { strict }: { strict: boolean }): number {
  if (state === "Succeeded") return Exit.done;
  if (state === "Degraded") return strict ? Exit.degraded : Exit.done;
  return Exit.unsuccessful;
}

/** What is to be done, and by whom; undefined where nobody knows the reason. */
export function remedyFor({ state, reason }: Situation): Remedy | undefined {
  return state === "New" ? UNNOTICED : remedyOf(reason);
}

/** `Reason: message`, as far as there is either. */
export function whyOf({ reason, message }: Pick<Situation, "reason" | "message">): string {
  return [reason, message].filter((part) => part !== "").join(": ");
}
