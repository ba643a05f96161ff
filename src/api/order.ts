/**
 * The order of names and of RFC 3339 times in UTC, for `sort`: by their characters, as the API server and kubectl have it, and
 * alike wherever it runs. The order of a language (`localeCompare`) costs a command 13 ms, for tables that no name needs.
 */
export function inOrder(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
