import { Reason } from "../../../api/reasons.ts";
import type { Check, Hindrance } from "../hindrance.ts";

/** Without a usable template the dispatcher cannot make a Job. docs/contract.md#templates. */
export const templateUsable: Check = (operation, world) => {
  const template = world.templates[operation.spec.type];
  return template.ok ? undefined : noTemplate(template.problem);
};

/** What an Operation's status says about a template that cannot be used. */
export function noTemplate(problem: string): Hindrance {
  return { effect: "rejected", reason: Reason.templateInvalid, message: problem };
}
