import type { VeleroOperation } from "../../api/operation.ts";
import type { ReasonName } from "../../api/reasons.ts";
import type { World } from "../state/world.ts";

/** Why an Operation cannot be admitted, as its status will tell it. */
export interface Hindrance {
  /**
   * `invalid`: Accepted=False and Failed=True, it will never run. `refused`: Accepted=False, `blocked`: Blocked=True; both
   * are looked at again when what they wait for changes.
   */
  readonly effect: "invalid" | "refused" | "blocked";
  readonly reason: ReasonName;
  readonly message: string;
}

/** One check of docs/contract.md#admission: what is in the way, or undefined when it holds. Pure. */
export type Check = (operation: VeleroOperation, world: World) => Hindrance | undefined;

/** The text parameter of that name, if the Operation has it; for checks after validParameters has looked at all of them. */
export function textParameter(operation: VeleroOperation, name: string): string | undefined {
  const parameters = operation.spec.parameters ?? {};
  const value = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
  return typeof value === "string" ? value : undefined;
}
