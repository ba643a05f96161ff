/** The result of a restore drill. docs/cli.md#drills. */
export const DRILL_RESULTS = ["Passed", "Incomplete", "Failed"] as const;
export type DrillResult = (typeof DRILL_RESULTS)[number];

export interface LastDrill {
  /** RFC 3339. */
  readonly at: string;
  readonly result: DrillResult;
}

/** The annotation `ops.vworkspace.io/last-drill`, on the Operation whose Backup was tried. */
export function lastDrillNote({ at, result }: LastDrill): string {
  return `${at} ${result}`;
}

/** Reads it; undefined for what is none: people can write there. */
export function parseLastDrill(note: string | undefined): LastDrill | undefined {
  const [at = "", word, ...more] = (note ?? "").split(" ");
  const result = DRILL_RESULTS.find((each) => each === word);
  return result === undefined || more.length > 0 || Number.isNaN(Date.parse(at)) ? undefined : { at, result };
}
