import * as z from "zod";
import { inOrder } from "../../api/order.ts";

/** The warnings and errors of a backup or restore: BackupResults and RestoreResults. Velero, pkg/util/results. */

const lines = z.array(z.string()).nullish();
const scopesSchema = z.looseObject({
  velero: lines,
  cluster: lines,
  namespaces: z.record(z.string(), lines).nullish(),
});

export const resultsSchema = z.looseObject({ warnings: scopesSchema.nullish(), errors: scopesSchema.nullish() });

export type Results = z.infer<typeof resultsSchema>;

/**
 * Lists Velero's warnings, each with its scope first (`velero: `, `cluster: `, then the namespaces in alphabetical
 * order). The texts are Velero's, without blanks around them, as `velero describe` shows them. Errors come before
 * warnings and begin with `error: `.
 *
 * @param options.withErrors list the errors, too: the backup or restore partially failed
 */
export function listResults(results: Results, { withErrors }: { withErrors: boolean }): string[] {
  const errors = withErrors ? scoped(results.errors).map((line) => `error: ${line}`) : [];
  return [...errors, ...scoped(results.warnings)];
}

function scoped(scopes: Results["errors"]): string[] {
  const namespaces = Object.entries(scopes?.namespaces ?? {}).sort(([a], [b]) => inOrder(a, b));
  const groups = [["velero", scopes?.velero], ["cluster", scopes?.cluster], ...namespaces] as const;
  return groups.flatMap(([scope, entries]) => (entries ?? []).map((entry) => `${scope}: ${entry.trim()}`));
}
