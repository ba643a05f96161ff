import { z } from "zod";
import { run } from "../cluster/run.ts";

const cost = z.object({ wallMs: z.number(), cpuMs: z.number(), rssMiB: z.number() });

/** Medians of starting once: wall clock and CPU in milliseconds, peak memory in MiB. */
export type Cost = z.infer<typeof cost>;

const costs = z.record(z.string(), cost);

const ROUNDS = 15;

/**
 * What runs inside the container, under the image's own Node: starts each program in turn, round by round, so that a busy
 * machine slows all of them alike. `run` without its settings loads what a Job loads and ends before its first API call.
 */
const probe = (rounds: number) => `
import { spawnSync } from "node:child_process";
const hook = "data:text/javascript," + encodeURIComponent(
  'import { writeSync } from "node:fs"; process.on("exit", () => { const u = process.resourceUsage();' +
  'writeSync(3, JSON.stringify({ cpuMs: (u.userCPUTime + u.systemCPUTime) / 1000, rssMiB: u.maxRSS / 1024 })); });');
const app = "/app/dist/operation-runner.js";
const programs = { "node": ["-e", "0"], "operation-runner version": [app, "version"], "operation-runner run": [app, "run"] };
const seen = Object.fromEntries(Object.keys(programs).map((name) => [name, []]));
for (let round = 0; round < ${rounds}; round++)
  for (const [name, args] of Object.entries(programs)) {
    const began = performance.now();
    const { output } = spawnSync(process.execPath, ["--import", hook, ...args], { stdio: ["ignore", "ignore", "ignore", "pipe"] });
    seen[name].push({ wallMs: performance.now() - began, ...JSON.parse(String(output[3])) });
  }
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
console.log(JSON.stringify(Object.fromEntries(Object.entries(seen).map(([name, runs]) =>
  [name, Object.fromEntries(Object.keys(runs[0]).map((key) => [key, median(runs.map((each) => each[key]))]))]))));
`;

/**
 * Measures what it costs to start the programs of an image, in a container of it as locked up as a Job's pod: no network,
 * no capabilities, nothing writable. Bare Node in the same run is what to compare with.
 *
 * @throws Error with what Docker or the container said
 */
export async function measureStartUp(image: string, env: NodeJS.ProcessEnv): Promise<Record<string, Cost>> {
  const locked = ["--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
  const node = ["--entrypoint", "/nodejs/bin/node", image, "--input-type=module", "-"];
  const { code, stdout, stderr } = await run("docker", ["run", "--rm", "-i", ...locked, ...node], {
    env,
    input: probe(ROUNDS),
  });
  if (code !== 0) throw new Error(`the container failed: ${stderr.trim()}`);
  return costs.parse(JSON.parse(stdout));
}
