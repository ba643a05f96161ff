import { isVeleroOperation, type Operation } from "../../../api/operation.ts";
import { ACTORS, remedyOf, todoFor } from "../../../api/remedies.ts";
import { age } from "../../human.ts";
import { hasEnded, situationOf, whyOf } from "../../situation.ts";
import { type Check, type Finding, judge, ok, problem, warning } from "../finding.ts";
import { dispatcherActs } from "./dispatcher.ts";

/** A dispatcher at work says something of a new Operation at once. */
const UNNOTICED_MS = 2 * 60_000;
const LONG_MS = 60 * 60_000;
const DAY_MS = 24 * LONG_MS;

export const stuck: Check = (seen) =>
  judge("operations", seen.operations, (all) => {
    const acts = dispatcherActs(seen);
    const ours = all.filter(isVeleroOperation);
    const open = ours.filter((operation) => !hasEnded(situationOf(operation)));
    const found = open.flatMap((operation) => stuckOne(operation, { now: seen.now, acts }));
    return found.length > 0
      ? found
      : ok("operations", `${ours.length}, of which ${open.length} have not ended; none is stuck`);
  });

function stuckOne(operation: Operation, { now, acts }: { now: Date; acts: boolean }): Finding[] {
  const situation = situationOf(operation);
  const name = `${operation.metadata.namespace}/${operation.metadata.name}`;
  const forMs = now.getTime() - Date.parse(situation.since);
  if (situation.state === "New") {
    // Where no dispatcher acts, that is the problem.
    if (forMs < UNNOTICED_MS || !acts) return [];
    const remedy = "see whether the dispatcher runs and has this namespace in its scope";
    return [problem("operations", `${name}: nobody has looked at it for ${age(forMs)}`, remedy)];
  }
  const limitMs = situation.state === "Running" ? DAY_MS : LONG_MS;
  if (forMs < limitMs) return [];
  const remedy = remedyOf(situation.reason);
  const todo =
    remedy === undefined
      ? `kubectl operation describe ${operation.metadata.name} -n ${operation.metadata.namespace}`
      : `${ACTORS[remedy.who]}: ${todoFor(remedy, operation.metadata)}`;
  return [warning("operations", `${name}: ${situation.state} for ${age(forMs)}: ${whyOf(situation)}`, todo)];
}
