#!/usr/bin/env node
// Each program is imported only when it is asked for, so that none loads the others' modules: a Job loads nothing of
// the commands for people.

const [name, ...args] = process.argv.slice(2);

// Idle connections would keep a finished process alive.
void run().then((code) => process.exit(code));

async function run(): Promise<number> {
  if (name === "run") return await (await import("./runner/main.ts")).main(process.env);
  if (name === "dispatcher") return await (await import("./dispatcher/main.ts")).main(process.env, args);
  return await (await import("./cli/main.ts")).main(process.argv.slice(2), process.env, process.argv[1] ?? "");
}
