import { Reason } from "../../../api/reasons.ts";
import type { Check } from "../hindrance.ts";

/** Without a usable template there is nothing to make a Job of. docs/contract.md, Job. */
export const templateUsable: Check = (operation, world) => {
  const template = world.templates[operation.spec.type];
  if (template.ok) return undefined;
  return { verdict: "refused", reason: Reason.templateInvalid, message: template.problem };
};
