import { humanBytes } from "../api/message.ts";
import type { Operation, Progress } from "../api/operation.ts";
import { age } from "./human.ts";
import { hasEnded, type Situation } from "./situation.ts";

/** How far an Operation was at a moment, for the rate. */
export interface Sample {
  /** Milliseconds of a clock that is never set back. */
  readonly at: number;
  readonly bytes: number;
}

/** The rate is that of the last half minute. */
const WINDOW_MS = 30_000;

/** The samples that still count, with a new one where there is something to measure. */
export function sampled(samples: readonly Sample[], { bytesCompleted }: Progress, at: number): Sample[] {
  const recent = samples.filter((sample) => at - sample.at <= WINDOW_MS);
  const last = recent.at(-1);
  if (bytesCompleted === undefined || (last?.bytes === bytesCompleted && recent.length > 1)) return recent;
  // Less than before: another attempt has begun.
  if (last !== undefined && bytesCompleted < last.bytes) return [{ at, bytes: bytesCompleted }];
  return [...recent, { at, bytes: bytesCompleted }];
}

/**
 * One line that says how far an Operation is, in so many columns at most: what matters least is left out first.
 *
 * @param now wall-clock time, and `at` that of the samples' clock
 */
export function liveLine(
  { metadata, status }: Operation,
  situation: Situation,
  { samples, at, now, columns }: { samples: readonly Sample[]; at: number; now: Date; columns: number },
): string {
  const progress = status?.progress ?? {};
  const rate = rateOf(samples, at);
  // In order of display, each with how much it matters (1 the most).
  const parts: readonly (readonly [string | undefined, number])[] = [
    [metadata.name, 3],
    [situation.state, 1],
    [progress.percent === undefined ? undefined : `${progress.percent} %`, 2],
    [fraction(progress.itemsCompleted, progress.itemsTotal, String, " items"), 6],
    [fraction(progress.bytesCompleted, progress.bytesTotal, humanBytes, ""), 5],
    [rate === undefined ? undefined : `${humanBytes(Math.round(rate))}/s`, 8],
    [etaOf(progress, rate), 7],
    [age(now.getTime() - Date.parse(status?.startedAt ?? metadata.creationTimestamp)), 9],
    [hasEnded(situation) ? undefined : situation.reason, 4],
  ];
  const present = parts.filter((part): part is [string, number] => part[0] !== undefined && part[0] !== "");
  for (let most = parts.length; most > 0; most--) {
    const line = present
      .filter(([, rank]) => rank <= most)
      .map(([text]) => text)
      .join("  ");
    // The last column stays free: some terminals break the line there.
    if (line.length < columns) return line;
  }
  return situation.state.slice(0, Math.max(0, columns - 1));
}

function fraction(
  done: number | undefined,
  total: number | undefined,
  text: (count: number) => string,
  noun: string,
): string | undefined {
  if (done === undefined || total === undefined || total === 0) return undefined;
  return `${text(done)} of ${text(total)}${noun}`;
}

/** Bytes a second; undefined where nothing moves or nothing is known yet. */
function rateOf(samples: readonly Sample[], at: number): number | undefined {
  const first = samples.at(0);
  const last = samples.at(-1);
  if (first === undefined || last === undefined || last.bytes <= first.bytes) return undefined;
  return (last.bytes - first.bytes) / (Math.max(at - first.at, 1) / 1000);
}

function etaOf({ bytesCompleted = 0, bytesTotal = 0 }: Progress, rate: number | undefined): string | undefined {
  if (rate === undefined || bytesTotal <= bytesCompleted) return undefined;
  return `ETA ${age(((bytesTotal - bytesCompleted) / rate) * 1000)}`;
}
