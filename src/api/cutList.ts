/** The most that a list of warnings may take in a status, in bytes of JSON. docs/contract.md#outputs. */
const MAX_LIST_BYTES = 256 * 1024;

/**
 * Keeps a list within its share of the status: entries that do not fit are left out, and a last entry says how many.
 *
 * @param whereToFind where people find all entries
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

/** The size of the entries in the API server's store: as JSON without brackets, each entry with quotes and a comma. */
function bytesOf(entries: readonly string[]): number {
  return entries.reduce(
    (sum, entry) => sum + Buffer.byteLength(JSON.stringify(entry).replace(ESCAPED, "......")) + 1,
    0,
  );
}

/** The characters that Go's encoder writes as six bytes (`\u003c`), and JavaScript's does not. */
const ESCAPED = /[<>&\u2028\u2029]/g;
