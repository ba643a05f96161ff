import { isCrossNamespace, isRequestOver, latestRequest, RIGHTS_POLICY } from "../../../api/crossNamespace.ts";
import { milliseconds } from "../../../api/duration.ts";
import { Annotation } from "../../../api/labels.ts";
import { Reason } from "../../../api/reasons.ts";
import { timestamp } from "../../../api/status.ts";
import type { Check } from "../hindrance.ts";

/**
 * Who restores from another namespace was asked for their right there when they asked for it, if the policy was there to ask,
 * and not too long ago. docs/contract.md#right-to-the-source-namespace.
 */
export const authorized: Check = (operation, { settings, now, rightsAskedSince }) => {
  if (!isCrossNamespace(operation)) return undefined;
  if (rightsAskedSince === undefined) {
    const message = `a Restore from another namespace needs the ValidatingAdmissionPolicy ${RIGHTS_POLICY} and its binding in this cluster: an administrator has to install manifests/policies`;
    return { effect: "refused", reason: Reason.policyMissing, message };
  }
  const request = latestRequest(operation, operation.status?.request, timestamp(now));
  const again = `somebody who may create Operations in the namespaces that it maps has to run it again: annotate it with a new ${Annotation.rerun}`;
  const expired = (why: string) =>
    ({ effect: "invalid", reason: Reason.authorizationExpired, message: `${why}; ${again}` }) as const;
  // Both are told to the second: within the same one nobody knows which came first.
  if (request === undefined || Date.parse(request.at) <= rightsAskedSince.getTime()) {
    return expired(
      `it was asked for before the policy ${RIGHTS_POLICY} was installed, at ${timestamp(rightsAskedSince)}`,
    );
  }
  if (isRequestOver({ request }, { now, windowMs: milliseconds(settings.requestWindow) })) {
    return expired(
      `a Restore from another namespace must begin within ${settings.requestWindow} after it was asked for, at ${request.at}`,
    );
  }
  return undefined;
};
