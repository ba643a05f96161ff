/** What `doctor` tells: one line for each thing that it looked at. */

export type Level = "ok" | "warning" | "problem" | "skipped";

export interface Finding {
  /** What was looked at, in a word. */
  readonly check: string;
  readonly level: Level;
  readonly message: string;
  /** What to do about it. */
  readonly remedy?: string;
}

export const ok = (check: string, message: string): Finding => ({ check, level: "ok", message });
export const skipped = (check: string, message: string): Finding => ({ check, level: "skipped", message });
export const warning = (check: string, message: string, remedy: string): Finding => {
  return { check, level: "warning", message, remedy };
};
export const problem = (check: string, message: string, remedy: string): Finding => {
  return { check, level: "problem", message, remedy };
};

/** Something that was to be read. */
export type Seen<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly why: string };

/** Judges what was seen; what could not be seen is skipped, with why. */
export function judge<T>(check: string, seen: Seen<T>, by: (value: T) => Finding | readonly Finding[]): Finding[] {
  if (!seen.ok) return [skipped(check, seen.why)];
  const found = by(seen.value);
  return Array.isArray(found) ? [...found] : [found as Finding];
}
