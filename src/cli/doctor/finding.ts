import { DOCS } from "../../api/remedies.ts";
import type { Seen } from "../seen.ts";
import type { Observed } from "./observe.ts";

/** What `doctor` tells: one line for each thing that it looked at. */

export type Level = "ok" | "warning" | "problem" | "skipped";

/** What is looked at. docs/runbook.md has a section for each. */
export const CHECKS = [
  "crds",
  "policies",
  "rights",
  "velero",
  "locations",
  "snapshots",
  "templates",
  "settings",
  "dispatcher",
  "lease",
  "clock",
  "leftovers",
  "operations",
] as const;
export type CheckName = (typeof CHECKS)[number];

export interface Finding {
  readonly check: CheckName;
  readonly level: Level;
  readonly message: string;
  /** What to do about it. */
  readonly remedy?: string;
  /** Where the runbook says more. */
  readonly runbook?: string;
}

export type Check = (seen: Observed) => readonly Finding[];

/** The remedy of whatever the manifests install. */
export const MANIFESTS = "kubectl apply -k manifests";

export const ok = (check: CheckName, message: string): Finding => ({ check, level: "ok", message });
export const skipped = (check: CheckName, message: string): Finding => ({ check, level: "skipped", message });
export const warning = (check: CheckName, message: string, remedy: string): Finding => {
  return { check, level: "warning", message, remedy, runbook: runbookOf(check) };
};
export const problem = (check: CheckName, message: string, remedy: string): Finding => {
  return { check, level: "problem", message, remedy, runbook: runbookOf(check) };
};

const runbookOf = (check: CheckName) => `${DOCS}/runbook.md#doctor-${check}`;

/** Judges what was seen; what could not be seen is skipped, with why. */
export function judge<T>(check: CheckName, seen: Seen<T>, by: (value: T) => Finding | readonly Finding[]): Finding[] {
  if (!seen.ok) return [skipped(check, seen.why)];
  const found = by(seen.value);
  return Array.isArray(found) ? [...found] : [found as Finding];
}

/** Both, where both could be seen. */
export function both<A, B>(one: Seen<A>, other: Seen<B>): Seen<readonly [A, B]> {
  if (!one.ok) return one;
  return other.ok ? { ok: true, value: [one.value, other.value] } : other;
}
