import type { Seen } from "../seen.ts";
import type { Observed } from "./observe.ts";

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

export type Check = (seen: Observed) => readonly Finding[];

/** The remedy of whatever the manifests install. */
export const MANIFESTS = "kubectl apply -k manifests";

export const ok = (check: string, message: string): Finding => ({ check, level: "ok", message });
export const skipped = (check: string, message: string): Finding => ({ check, level: "skipped", message });
export const warning = (check: string, message: string, remedy: string): Finding => {
  return { check, level: "warning", message, remedy };
};
export const problem = (check: string, message: string, remedy: string): Finding => {
  return { check, level: "problem", message, remedy };
};

/** Judges what was seen; what could not be seen is skipped, with why. */
export function judge<T>(check: string, seen: Seen<T>, by: (value: T) => Finding | readonly Finding[]): Finding[] {
  if (!seen.ok) return [skipped(check, seen.why)];
  const found = by(seen.value);
  return Array.isArray(found) ? [...found] : [found as Finding];
}

/** Both, where both could be seen. */
export function both<A, B>(one: Seen<A>, other: Seen<B>): Seen<readonly [A, B]> {
  if (!one.ok) return one;
  return other.ok ? { ok: true, value: [one.value, other.value] } : other;
}
