import { Reason } from "../../../api/reasons.ts";
import { isRestoredCopy } from "../../../api/restoredCopy.ts";
import type { Check } from "../hindrance.ts";

/**
 * A backup of a namespace contains its Operations, and their restored copies must not run again.
 * docs/contract.md#restored-copy.
 */
export const notRestoredCopy: Check = (operation) => {
  if (!isRestoredCopy(operation)) return undefined;
  const message = "this Operation is a copy from a backup, and such copies never run; create a new Operation instead";
  return { effect: "invalid", reason: Reason.restoredCopy, message };
};
