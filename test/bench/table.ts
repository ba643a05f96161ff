/**
 * Rows under a header, as text: the first and the last column begin at the left, the others end at the right.
 */
export function aligned([header = [], ...body]: readonly (readonly string[])[]): string {
  const rows = [header, ...body.map(([first = "", ...others]) => [`  ${first}`, ...others])];
  const columns = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, at) => Math.max(...rows.map((row) => (row[at] ?? "").length)));
  const line = (row: readonly string[]) => {
    const cells = widths.map((width, at) => {
      const cell = row[at] ?? "";
      return at === 0 || at === columns - 1 ? cell.padEnd(width) : cell.padStart(width);
    });
    return cells.join("  ").trimEnd();
  };
  return rows.map(line).join("\n");
}
