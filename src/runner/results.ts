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

/** The most that a list of warnings may take in a status, in bytes of JSON. docs/contract.md, Status mapping. */
const MAX_LIST_BYTES = 256 * 1024;

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

/**
 * Keeps a list within its share of the status: what does not fit is left out, and a last entry says how many those are.
 *
 * @param whereToFind where all of them can be read
 */
export function cutList(entries: readonly string[], whereToFind: string, maxBytes: number = MAX_LIST_BYTES): string[] {
  if (bytesOf(entries) <= maxBytes) return [...entries];
  const note = (count: number) => `${count} more left out: ${whereToFind}`;
  let room = maxBytes - bytesOf([note(entries.length)]);
  const kept = entries.filter((entry) => {
    const fits = bytesOf([entry]) <= room;
    if (fits) room -= bytesOf([entry]);
    return fits;
  });
  return [...kept, note(entries.length - kept.length)];
}

function scoped(scopes: Results["errors"]): string[] {
  const namespaces = Object.entries(scopes?.namespaces ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const groups = [["velero", scopes?.velero], ["cluster", scopes?.cluster], ...namespaces] as const;
  return groups.flatMap(([scope, entries]) => (entries ?? []).map((entry) => `${scope}: ${entry.trim()}`));
}

/** As JSON without brackets, as the API server stores it: each entry with its quotes and a comma. */
function bytesOf(entries: readonly string[]): number {
  return entries.reduce(
    (sum, entry) => sum + Buffer.byteLength(JSON.stringify(entry).replace(ESCAPED, "......")) + 1,
    0,
  );
}

/** What Go's encoder writes as six bytes (`\u003c`) where JavaScript's does not. */
const ESCAPED = /[<>&\u2028\u2029]/g;
