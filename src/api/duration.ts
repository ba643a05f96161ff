/**
 * Go's duration grammar (`time.ParseDuration`), which Velero's `ttl` follows: a sequence of decimal numbers, each with a
 * unit, such as `72h`, `1h30m` or `1.5h`, with an optional sign.
 */
const NANOSECONDS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n, // U+00B5, micro sign
  μs: 1_000n, // U+03BC, Greek letter mu
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/** Milliseconds of a duration that was checked before; 0 for a text that is no duration. */
export function milliseconds(duration: string): number {
  return Number((parseGoDuration(duration) ?? 0n) / 1_000_000n);
}

/** The longest that Go can hold: a signed 64-bit count of nanoseconds, about 292 years. */
const MAX_NANOSECONDS = 2n ** 63n - 1n;

const TERM = /(\d*)(?:\.(\d*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y;

/**
 * @param text a duration as Go writes it
 * @returns nanoseconds, negative for a negative duration; undefined if Go could not parse it, or it would overflow
 */
export function parseGoDuration(text: string): bigint | undefined {
  const negative = text.startsWith("-");
  const body = negative || text.startsWith("+") ? text.slice(1) : text;
  if (body === "0") return 0n;
  if (body === "") return undefined;
  let total = 0n;
  let at = 0;
  while (at < body.length) {
    TERM.lastIndex = at;
    const term = TERM.exec(body);
    if (term === null) return undefined;
    const [matched, whole = "", fraction = "", unit = ""] = term;
    if (whole === "" && fraction === "") return undefined;
    const scale = NANOSECONDS[unit] ?? 0n;
    total += whole === "" ? 0n : BigInt(whole) * scale;
    // Go drops fractions of a nanosecond, so further digits do not matter.
    const digits = fraction.slice(0, 18);
    if (digits !== "") total += (BigInt(digits) * scale) / 10n ** BigInt(digits.length);
    if (total > MAX_NANOSECONDS) return undefined;
    at += matched.length;
  }
  return negative ? -total : total;
}
