import type { Panel } from "../../manifests/dashboard.ts";
import { humanBytes } from "../../src/api/message.ts";
import { age } from "../../src/cli/human.ts";
import type { Series } from "../scenario/prometheus.ts";
import { line, niceTop, type Point, picture, polyline, text } from "../svg.ts";

/** A panel of the dashboard, and what its queries gave. */
export interface PanelData {
  readonly panel: Panel;
  readonly series: readonly { readonly legend: string; readonly values: Series["values"] }[];
}

/** In pixels: one panel, what is left free around the lines in it, and the rows of its legend. */
const [PANEL_WIDTH, PANEL_HEIGHT] = [450, 220];
const INNER = { left: 76, right: 16, top: 36, bottom: 84 };
const LEGEND = { perRow: 2, rows: 3, rowHeight: 16 };
const COLUMNS = 2;

const COLOURS = ["#0969da", "#bc4c00", "#1a7f37", "#8250df", "#bf3989", "#9a6700"];
const DARK_COLOURS = ["#4493f8", "#f0883e", "#3fb950", "#ab7df8", "#f778ba", "#d29922"];

const strokes = (colours: readonly string[]) =>
  colours.map((colour, at) => `.series-${at} { stroke: ${colour}; fill: none; stroke-width: 2; }`).join(" ");
const STYLE = `
  ${strokes(COLOURS)}
  @media (prefers-color-scheme: dark) { ${strokes(DARK_COLOURS)} }`;

/**
 * Draws the dashboard as an SVG, in the order of its panels.
 *
 * @param over the time that it shows, in Unix seconds
 */
export function drawDashboard(panels: readonly PanelData[], over: { start: number; end: number }): string {
  const rows = Math.ceil(panels.length / COLUMNS);
  const drawn = panels.map((data, at) => {
    const place = `translate(${(at % COLUMNS) * PANEL_WIDTH} ${Math.floor(at / COLUMNS) * PANEL_HEIGHT})`;
    return `<g transform="${place}">\n${drawPanel(data, over)}\n</g>`;
  });
  const size = { width: COLUMNS * PANEL_WIDTH, height: rows * PANEL_HEIGHT };
  return picture({ ...size, title: "The dashboard of operation-runner", style: STYLE }, drawn);
}

function drawPanel({ panel: { title, unit }, series }: PanelData, { start, end }: { start: number; end: number }) {
  const [width, height] = [PANEL_WIDTH - INNER.left - INNER.right, PANEL_HEIGHT - INNER.top - INNER.bottom];
  const all = series.flatMap(({ values }) => values.map(([, value]) => value)).filter(Number.isFinite);
  const top = topOf(Math.max(0, ...all), unit);
  const x = (moment: number) => INNER.left + ((moment - start) / (end - start)) * width;
  const y = (value: number) => INNER.top + height - (value / top) * height;
  const steps = unit === "bool" ? [0, top] : [0, top / 2, top];
  const shown = series.slice(0, LEGEND.perRow * LEGEND.rows);
  return [
    text("title", INNER.left, 22, "start", title),
    ...steps.flatMap((value) => [
      line("grid", [INNER.left, y(value)], [INNER.left + width, y(value)]),
      text("muted", INNER.left - 8, y(value) + 4, "end", written(value, unit)),
    ]),
    text("muted", INNER.left + width, INNER.top + height + 16, "end", age((end - start) * 1000)),
    ...shown.flatMap(({ legend, values }, at) => {
      const lines = unbroken(values).map((part) => part.map(([moment, value]): Point => [x(moment), y(value)]));
      const left = INNER.left + (at % LEGEND.perRow) * (width / LEGEND.perRow);
      const down = INNER.top + height + 34 + Math.floor(at / LEGEND.perRow) * LEGEND.rowHeight;
      const name = `series-${at % COLOURS.length}`;
      return [
        ...lines.map((points) => polyline(name, points)),
        line(name, [left, down - 4], [left + 14, down - 4]),
        text("", left + 20, down, "start", legend),
      ];
    }),
    ...(series.length > shown.length
      ? [text("muted", INNER.left - 8, INNER.top + height + 34, "end", `${series.length - shown.length} more`)]
      : []),
  ].join("\n");
}

/** The parts of a series between which it had no value. */
function unbroken(values: Series["values"]): Series["values"][] {
  const parts: Series["values"][] = [];
  const step = Math.min(...values.slice(1).map(([moment], at) => moment - (values[at]?.[0] ?? 0)));
  for (const point of values.filter(([, value]) => Number.isFinite(value))) {
    const part = parts.at(-1);
    const [before] = part?.at(-1) ?? [];
    if (before !== undefined && point[0] - before <= 1.5 * step) part?.push(point);
    else parts.push([point]);
  }
  return parts;
}

/** The end of the scale, a round number of the unit. */
function topOf(value: number, unit: Panel["unit"]): number {
  const size = unit === "bytes" ? 2 ** 20 : unit === "s" && value > 60 ? 60 : 1;
  return niceTop(value / size) * size;
}

/** A value as Grafana would write it in this unit. */
function written(value: number, unit: Panel["unit"]): string {
  switch (unit) {
    case "s":
      return value > 0 && value < 1 ? `${Math.round(value * 1000)} ms` : age(value * 1000);
    case "bytes":
      return humanBytes(value);
    case "reqps":
      return `${value}/s`;
    default:
      return String(value);
  }
}
