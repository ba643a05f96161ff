import path from "node:path";
import { parseArgs } from "node:util";

/** What can be measured by itself, in the order in which it is. */
export const SECTIONS = ["latency", "requests", "runner", "burst", "waiting", "memory"] as const;
export type SectionName = (typeof SECTIONS)[number];

export const USAGE = `Measures what the dispatcher and the runner cost, beside what a user would use instead of them, on a cluster of
its own that it takes down again. docs/performance.md explains the figures. No figure makes it fail.

  npm run bench                      everything, in less than 15 minutes
  npm run bench -- --quick           fewer rounds and smaller numbers, in less than 4

  --only SECTIONS   some of ${SECTIONS.join(", ")}; separated by commas
  --json FILE       also write every sample, and the machine they come from, as JSON
  --plot FILE       also draw what the dispatcher costs against the number of waiting Operations, as SVG
  --before FILE     show the figures of an earlier run's --json FILE beside the new ones
  --help            print this
`;

export interface Flags {
  readonly help: boolean;
  readonly quick: boolean;
  readonly sections: ReadonlySet<SectionName>;
  readonly json: string | undefined;
  readonly plot: string | undefined;
  readonly before: string | undefined;
}

/** Wrong use, told apart from a measurement that did not work. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** @throws UsageError that names the flag, its value and what is allowed */
export function parseFlags(args: string[]): Flags {
  const { only, ...values } = parse(args);
  const sections = only === undefined ? SECTIONS : only.split(",").map(sectionNamed);
  for (const [flag, ending] of [
    ["json", ".json"],
    ["plot", ".svg"],
    ["before", ".json"],
  ] as const) {
    const file = values[flag];
    if (file !== undefined && path.extname(file) !== ending)
      throw new UsageError(`--${flag} is "${file}", and has to be a file whose name ends in ${ending}`);
  }
  if (values.plot !== undefined && !sections.includes("waiting"))
    throw new UsageError(`--plot draws what "waiting" measures, which --only leaves out`);
  return {
    help: values.help,
    quick: values.quick,
    sections: new Set(sections),
    json: values.json,
    plot: values.plot,
    before: values.before,
  };
}

function sectionNamed(name: string): SectionName {
  const found = SECTIONS.find((section) => section === name);
  if (found === undefined) throw new UsageError(`--only names "${name}", and can name ${SECTIONS.join(", ")}`);
  return found;
}

function parse(args: string[]) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        before: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
        json: { type: "string" },
        only: { type: "string" },
        plot: { type: "string" },
        quick: { type: "boolean", default: false },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
