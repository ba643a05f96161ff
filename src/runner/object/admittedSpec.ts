import { isCrossNamespace, isRequestOver } from "../../api/crossNamespace.ts";
import { specDigest } from "../../api/digest.ts";
import type { VeleroOperation } from "../../api/operation.ts";
import { Reason } from "../../api/reasons.ts";
import type { RunnerContext } from "../context.ts";
import { Failure, RunMustWait } from "../errors.ts";

/**
 * Checks that the spec is the one that was admitted, and that a Restore from another namespace begins soon enough after
 * it was asked for: its Job may have waited for a node. docs/contract.md#admitted-spec,
 * docs/contract.md#restores-from-another-namespace.
 */
export function checkAdmitted({ clock, settings }: RunnerContext, operation: VeleroOperation): void {
  const { spec, status } = operation;
  // An older dispatcher did not record the digest; the present one is about to.
  if (status?.admittedSpec === undefined)
    throw new RunMustWait("the dispatcher has not recorded yet which spec it admitted");
  if (status.admittedSpec !== specDigest(spec)) {
    const message = "the spec has changed since it was admitted; create a new Operation instead";
    throw new Failure(Reason.specChanged, message, { invalid: true });
  }
  const window = { now: clock.now(), windowMs: settings.requestWindowMs };
  if (isCrossNamespace(operation) && isRequestOver(status, window)) {
    const message = `the runner started too late: a Restore from another namespace must begin within ${window.windowMs / 1000} s after it was asked for, which was at ${status.request?.at}`;
    throw new Failure(Reason.authorizationExpired, message, { invalid: true });
  }
}
