import { humanBytes } from "../api/message.ts";
import { inOrder } from "../api/order.ts";
import { type Run, summaryOf, type TargetCoverage } from "./coverage.ts";
import { age, ago } from "./human.ts";
import { printable } from "./terminal.ts";

export interface PageOptions {
  readonly now: Date;
  /** As it was asked for, such as `24h`; undefined: nothing is overdue. */
  readonly maxAge: string | undefined;
  /** What the page is about: a namespace, or all. */
  readonly scope: string;
  /** What could not be seen, for whoever reads it. */
  readonly notes: readonly string[];
}

/** How many days the timeline goes back. */
const DAYS = 14;
const DAY_MS = 86_400_000;

/**
 * What `status` tells as one page for a manager or an auditor: whole in one file, readable without JavaScript and without
 * colours, on paper, in a light and a dark room.
 */
export function coveragePage(targets: readonly TargetCoverage[], { now, maxAge, scope, notes }: PageOptions): string {
  const { targets: count, ok, never, failing, overdue, degraded } = summaryOf(targets);
  const title = `Backups of ${scope}`;
  const verdict = count === 0 ? "There are no targets." : `${ok} of ${count} targets are backed up as they should be.`;
  const figures: [string, number][] = [
    ["all right", ok],
    ["never backed up", never],
    ["failing", failing],
    ...(maxAge === undefined ? [] : ([["overdue", overdue]] as [string, number][])),
    ["degraded", degraded],
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${text(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>${text(title)}</h1>
<p>As of <time datetime="${now.toISOString()}">${moment(now)}</time>. ${text(verdict)}${
    maxAge === undefined ? "" : ` A backup is due every ${text(maxAge)}.`
  }</p>
${notes.map((note) => `<p class="note">${text(note)}</p>`).join("\n")}
</header>
<main>
<section aria-labelledby="coverage">
<h2 id="coverage">Coverage</h2>
<dl class="figures">${figures.map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`).join("")}</dl>
${coverageTable(targets, now)}
</section>
<section aria-labelledby="timeline">
<h2 id="timeline">The last ${DAYS} days</h2>
<p>Each mark is a backup or a restore that has ended; its height is how long it took, against the longest of that target.
${legend()}</p>
${timelines(targets, now)}
</section>
<section aria-labelledby="sizes">
<h2 id="sizes">Sizes</h2>
${sizes(targets)}
</section>
<section aria-labelledby="runs">
<h2 id="runs">What came of each</h2>
${runsTable(targets, now)}
</section>
</main>
<footer><p>Sizes are those of the archive and of the volumes as far as Velero tells them: lower bounds. Times are UTC.</p></footer>
</body>
</html>`;
}

function coverageTable(targets: readonly TargetCoverage[], now: Date): string {
  const rows = targets.map(({ namespace, target, flaws, since, why, lastBackup, lastRestore }) => {
    const state =
      flaws.length === 0
        ? mark("ok", "✓", "All right")
        : flaws.map((flaw) => mark(flaw.toLowerCase(), "!", flaw)).join(" ");
    const reason =
      since === undefined ? "" : `<br><small>since ${ago(since, now)}${why ? `: ${text(why)}` : ""}</small>`;
    return [
      `<th scope="row">${text(`${namespace}/${target}`)}</th>`,
      `<td>${state}${reason}</td>`,
      `<td>${lastBackup === undefined ? "none" : `${text(lastBackup.operation)}<br><small>${ago(lastBackup.finishedAt, now)} ago</small>`}</td>`,
      `<td class="number">${lastBackup?.sizeBytes === undefined ? "unknown" : humanBytes(lastBackup.sizeBytes)}</td>`,
      `<td class="number">${lastBackup === undefined ? "" : age(lastBackup.seconds * 1000)}</td>`,
      `<td>${lastRestore === undefined ? "none" : `${lastRestore.state}<br><small>${ago(lastRestore.finishedAt, now)} ago</small>`}</td>`,
    ].join("");
  });
  return table(
    "Every target and its last good backup",
    ["Target", "State", "Last good backup", "Size", "Took", "Last restore"],
    rows,
  );
}

function mark(kind: string, sign: string, name: string): string {
  return `<span class="state ${kind}"><span aria-hidden="true">${sign}</span> ${text(name)}</span>`;
}

const MARKS: readonly [Run["state"], string, string][] = [
  ["Succeeded", "ok", "succeeded"],
  ["Degraded", "degraded", "degraded"],
  ["Failed", "failing", "failed"],
  ["Cancelled", "cancelled", "cancelled"],
];

function legend(): string {
  const entries = MARKS.map(
    ([state, kind, name]) =>
      `<svg class="sample" viewBox="0 0 12 14" aria-hidden="true">${shape(state, kind, 6, 12, 10)}</svg> ${name}`,
  );
  return `${entries.join(", ")}; a restore stands below the line.`;
}

/** A mark whose shape tells what its colour does: a bar, a bar with a gap, a cross, an empty bar. */
function shape(state: Run["state"], kind: string, x: number, base: number, height: number): string {
  const top = base - height;
  if (state === "Failed") return `<path class="stroke ${kind}" d="M${x - 4} ${base - 8}l8 8m0 -8l-8 8"/>`;
  if (state === "Cancelled")
    return `<rect class="hollow ${kind}" x="${x - 2.5}" y="${top}" width="5" height="${height}"/>`;
  const bar = `<rect class="fill ${kind}" x="${x - 3}" y="${top}" width="6" height="${height}"/>`;
  return state === "Degraded"
    ? `${bar}<rect class="gap" x="${x - 3}" y="${base - height / 2 - 1}" width="6" height="2"/>`
    : bar;
}

const WIDTH = 700;
const LABEL_ROOM = 20;

function timelines(targets: readonly TargetCoverage[], now: Date): string {
  const from = now.getTime() - DAYS * DAY_MS;
  const x = (time: string) => LABEL_ROOM + ((Date.parse(time) - from) / (DAYS * DAY_MS)) * (WIDTH - 2 * LABEL_ROOM);
  const days = Array.from({ length: DAYS + 1 }, (_, day) => new Date(from + day * DAY_MS));
  const grid = days
    .map(
      (day) =>
        `<line class="grid" x1="${x(day.toISOString()).toFixed(1)}" x2="${x(day.toISOString()).toFixed(1)}" y1="4" y2="56"/>`,
    )
    .join("");
  const labels = days
    .filter((_, at) => at % 2 === 0)
    .map((day) => `<text x="${x(day.toISOString()).toFixed(1)}" y="74">${day.toUTCString().slice(5, 11)}</text>`)
    .join("");
  return targets
    .map(({ namespace, target, runs }) => {
      const recent = runs.filter(({ finishedAt }) => Date.parse(finishedAt) >= from);
      const longest = Math.max(1, ...recent.map(({ seconds }) => seconds));
      const marks = recent
        .map((run) => {
          const [, kind = "ok"] = MARKS.find(([state]) => state === run.state) ?? [];
          const height = 6 + Math.round((run.seconds / longest) * 22);
          const base = run.type === "Backup" ? 36 : 42 + Math.min(14, height);
          const drawn = shape(
            run.state,
            kind,
            Number(x(run.finishedAt).toFixed(1)),
            base,
            run.type === "Backup" ? height : Math.min(14, height),
          );
          return `<g><title>${text(`${run.type} ${run.operation}: ${run.state}, ${moment(new Date(run.finishedAt))}, took ${age(run.seconds * 1000)}`)}</title>${drawn}</g>`;
        })
        .join("");
      const counts = MARKS.map(
        ([state, , name]) => [recent.filter((run) => run.state === state).length, name] as const,
      ).filter(([n]) => n > 0);
      const told = counts.length === 0 ? "nothing has ended" : counts.map(([n, name]) => `${n} ${name}`).join(", ");
      const name = `${namespace}/${target}`;
      return `<figure><figcaption>${text(name)}: ${told}</figcaption>
<div class="scroll" role="group" aria-label="${text(`${name}, timeline`)}" tabindex="0"><svg class="timeline" viewBox="0 0 ${WIDTH} 80" role="img" aria-label="${text(`${name}, the last ${DAYS} days: ${told}`)}">${grid}<line class="axis" x1="${LABEL_ROOM}" x2="${WIDTH - LABEL_ROOM}" y1="38" y2="38"/>${marks}${labels}</svg></div></figure>`;
    })
    .join("\n");
}

/** The size of every good backup of a target, oldest first. */
function sizes(targets: readonly TargetCoverage[]): string {
  const rows = targets.map(({ namespace, target, runs }) => {
    const known = runs.filter(
      (run): run is Run & { sizeBytes: number } =>
        run.type === "Backup" && run.sizeBytes !== undefined && (run.state === "Succeeded" || run.state === "Degraded"),
    );
    const all = known.map(({ sizeBytes }) => sizeBytes);
    const [first, last] = [all.at(0), all.at(-1)];
    const change = first === undefined || last === undefined || all.length < 2 ? "" : growth(first, last);
    return [
      `<th scope="row">${text(`${namespace}/${target}`)}</th>`,
      `<td>${all.length === 0 ? "unknown" : line(all)}</td>`,
      `<td class="number">${first === undefined ? "" : humanBytes(first)}</td>`,
      `<td class="number">${last === undefined ? "" : humanBytes(last)}</td>`,
      `<td class="number">${change}</td>`,
    ].join("");
  });
  return table(
    "How the size of each target's backups has changed",
    ["Target", "Over time", "First", "Last", "Change"],
    rows,
  );
}

function growth(first: number, last: number): string {
  if (first === 0) return "";
  const percent = Math.round(((last - first) / first) * 100);
  return `${percent > 0 ? "+" : ""}${percent} %`;
}

function line(all: readonly number[]): string {
  const most = Math.max(1, ...all);
  const points = all.map((size, at) => {
    const x = all.length === 1 ? 80 : 4 + (at / (all.length - 1)) * 152;
    return `${x.toFixed(1)},${(30 - (size / most) * 26).toFixed(1)}`;
  });
  const label = `${all.length} backups, from ${humanBytes(all[0] ?? 0)} to ${humanBytes(all.at(-1) ?? 0)}, ${humanBytes(most)} at most`;
  const [x, y] = (points.at(-1) ?? "").split(",");
  return `<svg class="line" viewBox="0 0 160 34" role="img" aria-label="${text(label)}"><polyline points="${points.join(" ")}"/><circle cx="${x}" cy="${y}" r="3"/></svg>`;
}

const MOST_RUNS = 200;

function runsTable(targets: readonly TargetCoverage[], now: Date): string {
  const from = now.getTime() - DAYS * DAY_MS;
  const all = targets
    .flatMap(({ namespace, target, runs }) => runs.map((run) => ({ ...run, name: `${namespace}/${target}` })))
    .filter(({ finishedAt }) => Date.parse(finishedAt) >= from)
    .toSorted((one, other) => inOrder(other.finishedAt, one.finishedAt));
  const rows = all
    .slice(0, MOST_RUNS)
    .map((run) =>
      [
        `<th scope="row">${text(run.name)}</th>`,
        `<td>${run.type} ${text(run.operation)}</td>`,
        `<td class="when">${moment(new Date(run.finishedAt))}</td>`,
        `<td class="number">${age(run.seconds * 1000)}</td>`,
        `<td>${run.state}${run.why === "" ? "" : `<br><small>${text(run.why)}</small>`}</td>`,
      ].join(""),
    );
  const left = all.length - rows.length;
  const more = left > 0 ? `<p>${left} earlier ones are left out here.</p>` : "";
  return `${table(`Backups and restores of the last ${DAYS} days, latest first`, ["Target", "Operation", "Ended", "Took", "Result"], rows)}${more}`;
}

function table(caption: string, heads: readonly string[], rows: readonly string[]): string {
  if (rows.length === 0) return "<p>None.</p>";
  const head = heads.map((name) => `<th scope="col">${name}</th>`).join("");
  // A wide table scrolls by itself, by keyboard as well; the page does not.
  return `<div class="scroll" role="region" aria-label="${text(caption)}" tabindex="0"><table><caption>${text(caption)}</caption>
<thead><tr>${head}</tr></thead>
<tbody>${rows.map((row) => `<tr>${row}</tr>`).join("\n")}</tbody></table></div>`;
}

function moment(time: Date): string {
  return Number.isNaN(time.getTime()) ? "unknown" : `${time.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/** A text of anybody's in the page: it cannot be markup. */
function text(value: string): string {
  return printable(value).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const STYLE = `
:root{color-scheme:light dark;--back:#fff;--front:#1a1d21;--soft:#5a6270;--rule:#c9ced6;--ok:#1b6e36;--bad:#b3201b;--warn:#8a5200;--idle:#5a6270}
@media (prefers-color-scheme:dark){:root{--back:#14171b;--front:#e8eaee;--soft:#a9b1bd;--rule:#3c434d;--ok:#63c682;--bad:#ff8f88;--warn:#f0b35a;--idle:#a9b1bd}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:64rem;background:var(--back);color:var(--front);font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .5rem}
h2{font-size:1.2rem;margin:2rem 0 .5rem;border-bottom:1px solid var(--rule)}
.note,small,caption,figcaption,footer{color:var(--soft)}
.figures{display:flex;flex-wrap:wrap;gap:1rem 2rem;margin:0 0 1rem}
.figures dd{margin:0;font-size:1.6rem;font-weight:600}
.figures div{display:flex;flex-direction:column-reverse}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;min-width:40rem}
time,td.when{white-space:nowrap}
caption{text-align:left;padding:.25rem 0}
th,td{text-align:left;vertical-align:top;padding:.4rem .8rem .4rem 0;border-bottom:1px solid var(--rule)}
thead th{color:var(--soft);font-weight:600}
tbody th{font-weight:600}
.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.state{font-weight:600;white-space:nowrap}
.state.ok{color:var(--ok)}.state.never,.state.failing{color:var(--bad)}.state.overdue,.state.degraded{color:var(--warn)}
figure{margin:1rem 0;break-inside:avoid}
svg{max-width:100%}
.timeline{width:100%;min-width:34rem;max-width:none;height:auto}
.timeline text{font-size:11px;fill:var(--soft);text-anchor:middle}
.grid{stroke:var(--rule);stroke-width:.5}.axis{stroke:var(--soft)}
.sample{width:.8rem;height:1rem;vertical-align:-.15rem}
.fill.ok{fill:var(--ok)}.fill.degraded{fill:var(--warn)}.gap{fill:var(--back)}
.stroke{fill:none;stroke-width:2.2}.stroke.failing{stroke:var(--bad)}
.hollow{fill:none;stroke:var(--idle);stroke-width:1.5}
.line{width:160px;height:34px}.line polyline{fill:none;stroke:var(--ok);stroke-width:2}.line circle{fill:var(--ok)}
@media print{:root{--back:#fff;--front:#000;--soft:#444;--rule:#999;--ok:#1b6e36;--bad:#b3201b;--warn:#8a5200;--idle:#444}body{max-width:none;padding:0}.scroll{overflow:visible}tr{break-inside:avoid}thead{display:table-header-group}}
`;
