import { z } from "zod";
import type { Figure, Section, Unit, WaitingPoint } from "./figures.ts";
import type { Circumstances } from "./machine.ts";
import { summarize } from "./statistics.ts";
import { aligned } from "./table.ts";

/** Everything that one run of the bench found out. */
export interface Report {
  readonly circumstances: Circumstances;
  readonly sections: readonly Section[];
  readonly waiting: readonly WaitingPoint[];
}

/** The report as a program reads it: each figure with its summary and every sample. */
export function jsonReport({ circumstances, sections, waiting }: Report): string {
  const summarized = sections.map(({ title, figures }) => ({
    title,
    figures: figures.map((figure) => ({ ...figure, ...summarize(figure.samples) })),
  }));
  return `${JSON.stringify({ circumstances, sections: summarized, waiting }, undefined, 2)}\n`;
}

/** JSON has no other word for a number that could not be told. */
const number = z
  .number()
  .nullable()
  .transform((value) => value ?? Number.NaN);

const earlierReport = z.object({
  sections: z.array(
    z.object({ title: z.string(), figures: z.array(z.object({ what: z.string(), samples: z.array(z.number()) })) }),
  ),
  waiting: z.array(
    z.object({
      waiting: z.number(),
      ended: z.number(),
      endedPerSecond: number,
      createdPerSecond: number,
      // Not measured by earlier versions.
      ceilingPerSecond: number.catch(Number.NaN),
      firstJobMs: number,
      cpuMsPerOperation: number,
      peakMB: number,
      lagP99Ms: number,
      lagWorstMs: number,
    }),
  ),
});

/** What is read of a report that {@link jsonReport} wrote earlier. */
export type EarlierReport = z.infer<typeof earlierReport>;

/** @throws Error that says what is wrong with it */
export function parseReport(text: string): EarlierReport {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`not JSON: ${error instanceof Error ? error.message : error}`);
  }
  const parsed = earlierReport.safeParse(value);
  if (!parsed.success) throw new Error(`not a report of npm run bench: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/** The report as a person reads it; beside it the medians of an earlier run, where one is given. */
export function tableReport({ circumstances, sections, waiting }: Report, before?: EarlierReport): string {
  const tables = sections.map((section) => sectionTable(section, before));
  if (waiting.length > 0) tables.push(waitingTable(waiting, before?.waiting ?? []));
  return [...tables, circumstanceLines(circumstances)].join("\n\n");
}

function sectionTable({ title, figures }: Section, before: EarlierReport | undefined): string {
  const earlier = before?.sections.find((section) => section.title === title)?.figures ?? [];
  const rows = figures.map((figure) => {
    const was = summarize(earlier.find(({ what }) => what === figure.what)?.samples ?? []);
    const beforeCell = before === undefined ? [] : [was === undefined ? "" : quantity(was.median, figure.unit)];
    return [figure.what, ...cells(figure), ...beforeCell, figure.goal ?? ""];
  });
  const header = [title, "median", "95 %", "from ... to", ...(before === undefined ? [] : ["before"]), "goal"];
  const notes = figures.flatMap(({ what, note }) => (note === undefined ? [] : [`    ${what}: ${note}`]));
  return [aligned([header, ...rows]), ...notes].join("\n");
}

function cells({ samples, unit }: Figure): string[] {
  const summary = summarize(samples);
  if (summary === undefined) return ["not measured", "", ""];
  const { median, p95, lowest, highest, count } = summary;
  if (count === 1) return [quantity(median, unit), "", ""];
  return [quantity(median, unit), quantity(p95, unit), `${quantity(lowest, unit)} ... ${quantity(highest, unit)}`];
}

interface Row {
  readonly what: string;
  readonly unit: Unit;
  readonly value: (point: WaitingPoint) => number;
  readonly goal?: string;
}

const WAITING_ROWS: readonly Row[] = [
  { what: "ended", unit: "", value: ({ ended }) => ended },
  { what: "ended per second", unit: "/s", value: ({ endedPerSecond }) => endedPerSecond },
  { what: "created per second, API server alone", unit: "/s", value: ({ createdPerSecond }) => createdPerSecond },
  {
    what: "  ended / created",
    unit: "x",
    value: ({ endedPerSecond, createdPerSecond }) => endedPerSecond / createdPerSecond,
    goal: ">= 0.6 x",
  },
  {
    what: "the same writes, by a bare program",
    unit: "/s",
    value: ({ ceilingPerSecond }) => ceilingPerSecond,
  },
  {
    what: "  ended / the same writes",
    unit: "x",
    value: ({ endedPerSecond, ceilingPerSecond }) => endedPerSecond / ceilingPerSecond,
  },
  { what: "start -> first Job", unit: "ms", value: ({ firstJobMs }) => firstJobMs },
  { what: "CPU for each that ended", unit: "ms", value: ({ cpuMsPerOperation }) => cpuMsPerOperation, goal: "<= 5 ms" },
  { what: "peak memory", unit: "MB", value: ({ peakMB }) => peakMB },
  { what: "event loop late, 99 %", unit: "ms", value: ({ lagP99Ms }) => lagP99Ms, goal: "< 100 ms" },
  { what: "event loop late, worst", unit: "ms", value: ({ lagWorstMs }) => lagWorstMs },
];

/** A column for each number; below each figure the one of the earlier run. */
function waitingTable(points: readonly WaitingPoint[], before: readonly WaitingPoint[]): string {
  const header = ["The dispatcher alone, waiting:", ...points.map(({ waiting }) => quantity(waiting, "")), "goal"];
  const row = ({ unit, value }: Row, each: readonly (WaitingPoint | undefined)[]) =>
    each.map((point) => (point === undefined || !Number.isFinite(value(point)) ? "-" : quantity(value(point), unit)));
  const earlier = points.map(({ waiting }) => before.find((point) => point.waiting === waiting));
  const rows = WAITING_ROWS.flatMap((each) => [
    [each.what, ...row(each, points), each.goal ?? ""],
    ...(before.length === 0 ? [] : [["    before", ...row(each, earlier), ""]]),
  ]);
  return aligned([header, ...rows]);
}

/** A number with its unit, with as many digits as it deserves: `1,143 ms`, `2.4 s`, `1.78 x`. */
export function quantity(value: number, unit: Unit): string {
  const small = !Number.isInteger(value) && Math.abs(value) < 10;
  const digits = unit === "x" ? 2 : !small ? 0 : unit === "/s" ? 2 : 1;
  const written = value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  if (unit === "") return written;
  return unit === "/s" ? `${written}/s` : `${written} ${unit}`;
}

function circumstanceLines({ machine, commit, load, took, quick }: Circumstances): string {
  const { cpu, cores, memoryMB, node, kernel } = machine;
  return [
    `commit ${commit}, ${quick ? "quick run" : "full run"} of ${took}`,
    `${cores} x ${cpu}, ${Math.round(memoryMB / 1024)} GB, Linux ${kernel}, Node ${node}`,
    `load average ${load.before.toFixed(2)} before the run and ${load.after.toFixed(2)} after it`,
  ].join("\n");
}
