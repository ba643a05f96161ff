import * as z from "zod";

/** What Velero noted while it worked: BackupResults and RestoreResults. Velero, pkg/util/results. */

const lines = z.array(z.string()).nullish();
const scopesSchema = z.looseObject({
  velero: lines,
  cluster: lines,
  namespaces: z.record(z.string(), lines).nullish(),
});

export const resultsSchema = z.looseObject({ warnings: scopesSchema.nullish(), errors: scopesSchema.nullish() });

export type Results = z.infer<typeof resultsSchema>;

/**
 * Velero's notes as a list: each with its scope first (`velero: `, `cluster: `, then the namespaces in alphabetical
 * order), the texts as Velero wrote them but for blanks around them: `velero describe` shows none. Errors come before
 * warnings and begin with `error: `.
 *
 * @param options.withErrors the backup or restore partially failed: its errors belong to the story
 */
export function listResults(results: Results, { withErrors }: { withErrors: boolean }): string[] {
  const errors = withErrors ? scoped(results.errors).map((line) => `error: ${line}`) : [];
  return [...errors, ...scoped(results.warnings)];
}

function scoped(scopes: Results["errors"]): string[] {
  const namespaces = Object.entries(scopes?.namespaces ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const groups = [["velero", scopes?.velero], ["cluster", scopes?.cluster], ...namespaces] as const;
  return groups.flatMap(([scope, entries]) => (entries ?? []).map((entry) => `${scope}: ${entry.trim()}`));
}
