/** The parts that carry out the commands for people. */
export const VERBS = {
  everydayVerbs: "src/cli/everydayVerbs.ts",
  furtherVerbs: "src/cli/furtherVerbs.ts",
};

/** The parts of the program that are imported when they are asked for: each becomes one file with all it needs. */
export const PARTS = {
  cli: "src/cli/main.ts",
  ...VERBS,
  dispatcher: "src/dispatcher/main.ts",
  run: "src/runner/main.ts",
};

/** The file of a part or package in the bundle. */
export const fileOf = (name: string): string => `${name}.js`;
