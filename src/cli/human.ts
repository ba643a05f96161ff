/** Times for people, as kubectl writes them. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

/** A length of time as kubectl's AGE has it: `45s`, `3m20s`, `17h`, `3d4h`. Negative ones, of clocks that differ, are `0s`. */
export function age(ms: number): string {
  const span = Math.max(0, Math.floor(ms));
  const s = Math.floor(span / SECOND);
  if (span < 2 * MINUTE) return `${s}s`;
  if (span < 10 * MINUTE) return two(span, MINUTE, "m", SECOND, "s");
  if (span < 3 * HOUR) return `${Math.floor(span / MINUTE)}m`;
  if (span < 8 * HOUR) return two(span, HOUR, "h", MINUTE, "m");
  if (span < 2 * DAY) return `${Math.floor(span / HOUR)}h`;
  if (span < 8 * DAY) return two(span, DAY, "d", HOUR, "h");
  if (span < 2 * YEAR) return `${Math.floor(span / DAY)}d`;
  return span < 8 * YEAR ? two(span, YEAR, "y", DAY, "d") : `${Math.floor(span / YEAR)}y`;
}

function two(span: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((span % large) / small);
  return `${Math.floor(span / large)}${largeName}${rest === 0 ? "" : `${rest}${smallName}`}`;
}

/** How long ago something was; `<unknown>` for what is no time. */
export function ago(time: string | undefined, now: Date): string {
  const at = Date.parse(time ?? "");
  return Number.isNaN(at) ? "<unknown>" : age(now.getTime() - at);
}
