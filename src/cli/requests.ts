import type * as z from "zod";
import { MAX_NAME_LENGTH } from "../api/names.ts";
import { ENGINE, type OperationType, operations } from "../api/operation.ts";
import { backupParametersSchema, parseParameters, restoreParametersSchema } from "../api/parameters.ts";
import type { Manifest } from "../kube/metadata.ts";
import { apiVersionOf } from "../kube/resource.ts";
import { UsageError } from "./exit.ts";
import { backupFlags, type Flag, flagOf, givenFlags, restoreFlags } from "./flags.ts";
import { parseSelector } from "./selector.ts";

/** What flags ask for, as an Operation. Pure: nothing is asked or sent. */

/** Where a Restore restores from. */
export interface Source {
  readonly from: string;
  readonly fromNamespaces: readonly string[];
  /** The Operation's own namespace. */
  readonly into: string;
}

/** The parameters of a Backup from its flags. @throws UsageError naming the flag, its value and what is allowed */
export function backupParameters(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const parameters = parametersOf(backupFlags, options);
  validate(backupParametersSchema, parameters, backupFlags);
  return parameters;
}

/** The same of a Restore. */
export function restoreParameters(
  options: Readonly<Record<string, unknown>>,
  { from, fromNamespaces, into }: Source,
): Record<string, unknown> {
  const mapping = Object.fromEntries(fromNamespaces.filter((name) => name !== into).map((name) => [name, into]));
  const parameters = {
    backupName: from,
    ...(Object.keys(mapping).length > 0 && { namespaceMapping: mapping }),
    ...parametersOf(restoreFlags, options),
  };
  validate(restoreParametersSchema, parameters, restoreFlags);
  return parameters;
}

function parametersOf(flags: readonly Flag[], options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    givenFlags(flags, options).map(({ flag: { kind, parameter }, value }) => [
      parameter,
      kind === "selector" ? parseSelector(String(value)) : value,
    ]),
  );
}

function validate(schema: z.ZodType, parameters: Record<string, unknown>, flags: readonly Flag[]): void {
  const parsed = parseParameters(schema, parameters);
  if (parsed.ok) return;
  const named = parsed.message.replace(/spec\.parameters\.(\w+)/g, (field, parameter: string) => {
    if (parameter === "backupName") return "--from";
    if (parameter === "namespaceMapping") return "--from-namespace";
    const flag = flags.find((each) => each.parameter === parameter);
    return flag === undefined ? field : flagOf(flag);
  });
  throw new UsageError(named);
}

export interface Wish {
  readonly type: OperationType;
  readonly target: string;
  readonly namespace: string;
  readonly name: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly approvalRequired: boolean;
}

/** The Operation that asks for it, to be created. */
export function operationFor({ type, target, namespace, name, parameters, approvalRequired }: Wish): Manifest {
  return {
    apiVersion: apiVersionOf(operations),
    kind: operations.kind,
    metadata: { name, namespace },
    spec: {
      targetRef: { apiVersion: "apps.vworkspace.io/v1alpha1", kind: "ApplicationInstance", name: target },
      type,
      engine: ENGINE,
      ...(Object.keys(parameters).length > 0 && { parameters }),
      ...(approvalRequired && { approvals: { required: true } }),
    },
  };
}

/**
 * A name for who gives none: `shop-20261125-2210`, the time in UTC. The exact one has seconds, for the second in a minute.
 *
 * @param what the target, or what else the name begins with
 */
export function madeName(what: string, now: Date, { exact }: { exact: boolean }): string {
  const digits = now.toISOString().replaceAll(/\D/g, "");
  const time = `${digits.slice(0, 8)}-${digits.slice(8, exact ? 14 : 12)}`;
  const room = MAX_NAME_LENGTH - time.length - 1;
  return `${what.slice(0, room).replace(/[-.]+$/, "")}-${time}`;
}
