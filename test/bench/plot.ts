import { dot, line, niceTop, picture, polyline, text } from "../svg.ts";
import type { WaitingPoint } from "./figures.ts";
import { quantity } from "./report.ts";

/** One small plot: a figure of the points, against how many Operations wait. */
interface Panel {
  readonly title: string;
  readonly unit: "ms" | "MB" | "/s";
  readonly value: (point: WaitingPoint) => number;
}

const PANELS: readonly Panel[] = [
  { title: "Ended per second", unit: "/s", value: ({ endedPerSecond }) => endedPerSecond },
  { title: "CPU for each that ended", unit: "ms", value: ({ cpuMsPerOperation }) => cpuMsPerOperation },
  { title: "Peak memory", unit: "MB", value: ({ peakMB }) => peakMB },
  { title: "Event loop late, 99 %", unit: "ms", value: ({ lagP99Ms }) => lagP99Ms },
];

/** In pixels: the whole, one panel, and what is left free around the lines in it for what is written there. */
const [WIDTH, HEIGHT] = [900, 580];
const [PANEL_WIDTH, PANEL_HEIGHT] = [440, 250];
const INNER = { left: 70, right: 70, top: 36, bottom: 40 };

const STYLE = `
  .now { stroke: #0969da; fill: none; stroke-width: 2; }
  .before { stroke: #8c959f; fill: none; stroke-width: 2; stroke-dasharray: 5 4; }
  .now-dot { fill: #0969da; }
  .before-dot { fill: #8c959f; }
  @media (prefers-color-scheme: dark) {
    .now { stroke: #4493f8; }
    .now-dot { fill: #4493f8; }
    .before { stroke: #9198a1; }
    .before-dot { fill: #9198a1; }
  }`;

/**
 * What the dispatcher costs against the number of Operations that wait for it, as an SVG: each figure in a panel of its own,
 * the number in powers of ten. Figures of an earlier run are dashed.
 */
export function plotWaiting(points: readonly WaitingPoint[], before: readonly WaitingPoint[] = []): string {
  const panels = PANELS.map((panel, at) => {
    const [column, row] = [at % 2, Math.floor(at / 2)];
    const place = `translate(${10 + column * PANEL_WIDTH} ${40 + row * (PANEL_HEIGHT + 10)})`;
    return `<g transform="${place}">\n${drawPanel(panel, points, before)}\n</g>`;
  });
  const legend =
    before.length === 0
      ? []
      : [
          line("now", [20, 18], [44, 18]),
          text("", 50, 22, "start", "now"),
          line("before", [100, 18], [124, 18]),
          text("", 130, 22, "start", "before"),
        ];
  const title = "What the dispatcher costs against the number of waiting Operations";
  return picture({ width: WIDTH, height: HEIGHT, title, style: STYLE }, [...legend, ...panels]);
}

function drawPanel(panel: Panel, points: readonly WaitingPoint[], before: readonly WaitingPoint[]): string {
  const all = [...points, ...before];
  const numbers = all.map(({ waiting }) => waiting);
  const from = Math.floor(Math.log10(Math.min(...numbers)));
  const to = Math.max(from + 1, Math.ceil(Math.log10(Math.max(...numbers))));
  const top = niceTop(Math.max(...all.map(panel.value).filter(Number.isFinite), 0));
  const [width, height] = [PANEL_WIDTH - INNER.left - INNER.right, PANEL_HEIGHT - INNER.top - INNER.bottom];
  const x = (waiting: number) => INNER.left + ((Math.log10(waiting) - from) / (to - from)) * width;
  const y = (value: number) => INNER.top + height - (value / top) * height;

  const powers = Array.from({ length: to - from + 1 }, (_, at) => 10 ** (from + at));
  const steps = [0, top / 2, top];
  return [
    text("title", INNER.left, 20, "start", panel.title),
    ...steps.flatMap((value) => [
      line("grid", [INNER.left, y(value)], [INNER.left + width, y(value)]),
      text("muted", INNER.left - 8, y(value) + 4, "end", quantity(value, panel.unit)),
    ]),
    ...powers.map((power) => text("muted", x(power), INNER.top + height + 18, "middle", quantity(power, ""))),
    text("muted", INNER.left + width, INNER.top + height + 34, "end", "waiting Operations"),
    ...drawSeries("before", before, panel, x, y),
    ...drawSeries("now", points, panel, x, y),
  ].join("\n");
}

function drawSeries(
  name: "now" | "before",
  points: readonly WaitingPoint[],
  { value, unit }: Panel,
  x: (waiting: number) => number,
  y: (value: number) => number,
): string[] {
  const placed = [...points]
    .filter((point) => Number.isFinite(value(point)))
    .sort((a, b) => a.waiting - b.waiting)
    .map((point) => ({ at: [x(point.waiting), y(value(point))] as const, value: value(point) }));
  const last = placed.at(-1);
  if (last === undefined) return [];
  return [
    polyline(
      name,
      placed.map(({ at }) => at),
    ),
    ...placed.map(({ at }) => dot(`${name}-dot`, at)),
    text("", last.at[0] + 8, last.at[1] + 4, "start", quantity(last.value, unit)),
  ];
}
