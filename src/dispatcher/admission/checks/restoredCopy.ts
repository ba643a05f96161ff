import { Reason } from "../../../api/reasons.ts";
import { isRestoredCopy } from "../../../api/restoredCopy.ts";
import type { Check } from "../hindrance.ts";

/** A namespace's backup holds its Operations: restored, they must not be replayed. docs/contract.md#restored-copy. */
export const notRestoredCopy: Check = (operation) => {
  if (!isRestoredCopy(operation)) return undefined;
  const message = "this copy came out of a backup and is never run; create a new Operation instead";
  return { effect: "invalid", reason: Reason.restoredCopy, message };
};
