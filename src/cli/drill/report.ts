import type { DrillResult } from "../../api/lastDrill.ts";
import { counted } from "../../api/message.ts";
import { Exit } from "../exit.ts";
import { aligned } from "../table.ts";
import { printable } from "../terminal.ts";
import type { KindCount, LeftOut } from "./comparison.ts";

/** What a drill found. */
export interface DrillReport {
  readonly namespace: string;
  readonly target: string;
  readonly operation: string;
  readonly backup: string;
  /** Where it was restored into; undefined: it did not come to that. */
  readonly scratchNamespace?: string;
  readonly finishedAt: string;
  readonly result: DrillResult;
  readonly kinds: readonly KindCount[];
  /** What ran, where that was asked for: how many workloads came up, and whether the probe ended well. */
  readonly ran?: { readonly workloads: number; readonly probe: boolean | undefined };
  readonly problems: readonly string[];
  readonly notChecked: readonly LeftOut[];
}

/**
 * `Passed`: all that was compared came back equal. `Incomplete`: so it did, and the backup holds data that was not looked at, or
 * nothing else. `Failed`: something is missing or different.
 */
export function resultOf(problems: readonly string[], notChecked: readonly LeftOut[], compared: number): DrillResult {
  if (problems.length > 0) return "Failed";
  return compared === 0 || notChecked.some(({ isData }) => isData) ? "Incomplete" : "Passed";
}

/** How the command ends. docs/cli.md#drills. */
export function exitOf(result: DrillResult): number {
  return { Passed: Exit.done, Incomplete: Exit.degraded, Failed: Exit.unsuccessful }[result];
}

/** In one sentence, for the Event. */
export function verdict({ result, backup, kinds, ran, problems, notChecked }: DrillReport): string {
  const compared = kinds.reduce((sum, { inBackup }) => sum + inBackup, 0);
  const [first = ""] = problems;
  const more = problems.length > 1 ? `, and ${problems.length - 1} more` : "";
  if (result === "Failed") return `Restore drill of backup ${backup} failed: ${first}${more}`;
  const left = notChecked.filter(({ isData }) => isData).map(({ resource, count }) => `${count} ${resource}`);
  const probed = ran?.probe === undefined ? "" : " and the probe succeeded";
  const up = ran === undefined ? "" : `, ${counted(ran.workloads, "workload")} came up${probed}`;
  const equal = `${compared} objects came back equal${up}`;
  if (result === "Passed") return `Restore drill of backup ${backup} passed: ${equal}`;
  return `Restore drill of backup ${backup} is incomplete: ${equal}, not looked at: ${left.join(", ") || "anything"}`;
}

/** The report as people read it. */
export function reportLines(report: DrillReport): string[] {
  const { namespace, operation, scratchNamespace, kinds, problems, notChecked } = report;
  const rows = kinds.map(({ resource, inBackup, restored, equal, equalsOriginal }) => [
    resource,
    String(inBackup),
    String(restored),
    String(equal),
    String(equalsOriginal ?? "<unknown>"),
  ]);
  const into = scratchNamespace === undefined ? "" : ` into namespace ${scratchNamespace}, which is removed again`;
  return [
    `Drill of operation/${operation} of ${namespace}${into}.`,
    ...(rows.length === 0
      ? []
      : ["", ...aligned([["KIND", "IN-BACKUP", "RESTORED", "EQUAL", "EQUALS-ORIGINAL"], ...rows])]),
    ...(problems.length === 0 ? [] : ["", "Problems:", ...problems.map((each) => `  ${each}`)]),
    ...(notChecked.length === 0
      ? []
      : ["", "Not checked:", ...notChecked.map(({ resource, count, why }) => `  ${count} ${resource}: ${why}`)]),
    "",
    verdict(report),
  ].map(printable);
}
