import type { VeleroOperation } from "../../api/operation.ts";
import type { ReasonName } from "../../api/reasons.ts";
import type { World } from "../state/world.ts";

/** Why an Operation cannot be admitted, as its status will say it. */
export interface Hindrance {
  /**
   * `invalid`: Accepted=False and Failed=True; the Operation will never run. `rejected`: Accepted=False. `blocked`: Blocked=True.
   * The dispatcher checks a rejected or blocked Operation again when what it waits for changes.
   */
  readonly effect: "invalid" | "rejected" | "blocked";
  readonly reason: ReasonName;
  readonly message: string;
}

/** What the checks look at. */
export type AdmissionWorld = Pick<
  World,
  | "now"
  | "settings"
  | "templates"
  | "approvalKey"
  | "rightsPolicySince"
  | "target"
  | "namespace"
  | "snapshotClass"
  | "storageLocation"
  | "defaultStorageLocation"
>;

/**
 * One check of docs/contract.md#admission. It returns undefined if it holds. Pure. It reads of the world only what it needs to
 * decide about this Operation: `restore --preview` has it decide where not everything can be seen.
 */
export type Check = (operation: VeleroOperation, world: AdmissionWorld) => Hindrance | undefined;

/** The parameter of that name, if it is a text. For checks that run after specValid has validated all parameters. */
export function textParameter(operation: VeleroOperation, name: string): string | undefined {
  const parameters = operation.spec.parameters ?? {};
  const value = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
  return typeof value === "string" ? value : undefined;
}
