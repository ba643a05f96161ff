/** Pictures of figures, for the documentation. */

/** Colours for a light and a dark page; a browser that shows the picture knows which it is. */
const PAGE_STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; }
  .muted { fill: #59636e; }
  .grid { stroke: #d1d9e0; }
  .page { fill: #ffffff; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .muted { fill: #9198a1; }
    .grid { stroke: #3d444d; }
    .page { fill: #0d1117; }
  }`;

/** From the left and from the top, in pixels. */
export type Point = readonly [number, number];

/** A whole picture. `style` comes on top of {@link PAGE_STYLE}. */
export function picture(
  { width, height, title, style }: { width: number; height: number; title: string; style: string },
  parts: readonly string[],
): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>${PAGE_STYLE}${style}\n</style>`,
    `<rect class="page" width="${width}" height="${height}"/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

export function line(name: string, [x1, y1]: Point, [x2, y2]: Point): string {
  return `<line class="${name}" x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}"/>`;
}

export function polyline(name: string, points: readonly Point[]): string {
  const corners = points.map(([x, y]) => `${round(x)},${round(y)}`).join(" ");
  return `<polyline class="${name}" points="${corners}"/>`;
}

export function dot(name: string, [x, y]: Point): string {
  return `<circle class="${name}" cx="${round(x)}" cy="${round(y)}" r="3"/>`;
}

export function text(name: string, x: number, y: number, anchor: "start" | "middle" | "end", words: string): string {
  return `<text class="${name}" x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escaped(words)}</text>`;
}

/** The least of 1, 2, 5, 10, 20, ... that is no less; of the parts of 1 also 0.5, 0.2, 0.1 ... */
export function niceTop(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((step) => step * power >= value) ?? 10) * power;
}

function escaped(words: string): string {
  return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10);
}
