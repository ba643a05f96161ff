import { isCrossNamespace, isRequestOver, latestRequest, RIGHTS_POLICY } from "../../../api/crossNamespace.ts";
import { milliseconds } from "../../../api/duration.ts";
import { Annotation } from "../../../api/labels.ts";
import { Reason } from "../../../api/reasons.ts";
import { timestamp } from "../../../api/status.ts";
import type { Check } from "../hindrance.ts";

/**
 * A Restore from another namespace may run only if the policy operation-rights checked the right of whoever asked for it, and
 * if that was not too long ago. docs/contract.md#right-to-the-source-namespace.
 */
export const authorized: Check = (operation, world) => {
  if (!isCrossNamespace(operation)) return undefined;
  const { settings, now, rightsPolicySince } = world;
  if (rightsPolicySince === undefined) {
    const message = `a Restore from another namespace needs the ValidatingAdmissionPolicy ${RIGHTS_POLICY} and its binding in this cluster: an administrator has to install manifests/policies`;
    return { effect: "rejected", reason: Reason.policyMissing, message };
  }
  const request = latestRequest(operation, operation.status?.request, timestamp(now));
  const again = `somebody who may create Operations in the namespaces that it maps has to run it again: set the annotation ${Annotation.rerun} to a new value`;
  const expired = (why: string) =>
    ({ effect: "invalid", reason: Reason.authorizationExpired, message: `${why}; ${again}` }) as const;
  // Both times are whole seconds: within the same second nobody can tell which came first.
  if (request === undefined || Date.parse(request.at) <= rightsPolicySince.getTime()) {
    return expired(
      `it was asked for before the policy ${RIGHTS_POLICY} was installed, at ${timestamp(rightsPolicySince)}`,
    );
  }
  if (isRequestOver({ request }, { now, windowMs: milliseconds(settings.requestWindow) })) {
    return expired(
      `a Restore from another namespace must begin within ${settings.requestWindow} after it was asked for, at ${request.at}`,
    );
  }
  return undefined;
};
