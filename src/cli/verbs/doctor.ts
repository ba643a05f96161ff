import { SYSTEM_NAMESPACE } from "../../api/names.ts";
import type { Context } from "../context.ts";
import { examine } from "../doctor/checks.ts";
import type { Finding, Level } from "../doctor/finding.ts";
import { observe } from "../doctor/observe.ts";
import { Exit } from "../exit.ts";
import { formatted } from "../output.ts";
import { printable, type Terminal } from "../terminal.ts";

export interface DoctorOptions {
  readonly pre?: boolean;
  readonly systemNamespace?: string;
  readonly output: "short" | "json" | "yaml";
}

/** Is everything all right? Says of each thing whether it is, and of what is not what to do. */
export async function doctor(options: DoctorOptions, context: Context): Promise<number> {
  const { terminal } = context;
  const findings = examine(await observe(options.systemNamespace ?? SYSTEM_NAMESPACE, context), {
    before: options.pre === true,
  });
  if (options.output === "short") {
    for (const line of report(findings, terminal.style.bind(terminal))) terminal.out(line);
  } else {
    terminal.out(formatted({ summary: counts(findings), findings }, options.output));
  }
  if (findings.every(({ level }) => level === "skipped")) {
    terminal.err("error: nothing could be looked at: doctor is for who may see the platform's namespaces");
    return Exit.error;
  }
  return findings.some(({ level }) => level === "problem") ? Exit.unsuccessful : Exit.done;
}

const STYLES: Readonly<Record<Level, Parameters<Terminal["style"]>[0]>> = {
  ok: "green",
  warning: "yellow",
  problem: "red",
  skipped: "dim",
};

/** A line for each finding, what to do below it, and how many of each there are. */
export function report(findings: readonly Finding[], style: Terminal["style"]): string[] {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap(({ check, level, message, remedy, runbook }) => [
    `${style(STYLES[level], level.padEnd(7))}  ${check.padEnd(width)}  ${printable(message)}`,
    ...(remedy === undefined ? [] : [`${" ".repeat(9)}to do: ${printable(remedy)}`]),
    ...(runbook === undefined ? [] : [`${" ".repeat(9)}see ${runbook}`]),
  ]);
  const { ok, warning, problem, skipped } = counts(findings);
  return [...lines, `${problem} problems, ${warning} warnings, ${ok} ok, ${skipped} skipped`];
}

function counts(findings: readonly Finding[]): Record<Level, number> {
  const count = (level: Level) => findings.filter((finding) => finding.level === level).length;
  return { ok: count("ok"), warning: count("warning"), problem: count("problem"), skipped: count("skipped") };
}
