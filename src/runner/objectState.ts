import { isTerminal, type OperationType } from "../api/operation.ts";
import { platformExclusions } from "../api/platformExclusions.ts";
import type { StatusChange } from "../api/status.ts";
import type { VeleroObject } from "../api/velero.ts";
import type { RunnerContext } from "./context.ts";
import { redacted } from "./hideVeleroMessages.ts";
import { knownOutputs } from "./outputs/outputs.ts";
import { verdict } from "./verdict.ts";

/**
 * What the status says while Velero has not ended with the attempt's object. docs/contract.md#velero-phases.
 *
 * @returns undefined once the object has ended
 */
export function objectState(
  context: RunnerContext,
  type: OperationType,
  object: VeleroObject,
  byCancel: boolean,
): StatusChange | undefined {
  const change = verdict({ type, object: redacted(context, object), byCancel });
  if (isTerminal(change.phase)) return undefined;
  const exclusions = platformExclusions(context.settings.restoreExcludedResources);
  return { ...change, outputs: knownOutputs(type, object, exclusions) };
}
