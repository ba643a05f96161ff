import { cpus, loadavg, release, totalmem } from "node:os";
import { duration } from "../cluster/progress.ts";
import { run } from "../cluster/run.ts";

/** What the figures of a run depend on beside the code. */
export interface Circumstances {
  /** With "+" where files have changed since. */
  readonly commit: string;
  readonly at: string;
  readonly quick: boolean;
  readonly took: string;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly memoryMB: number;
    readonly kernel: string;
    readonly node: string;
  };
  /** The machine's load average of one minute: before, what others do; after, also what the bench did. */
  readonly load: { readonly before: number; readonly after: number };
}

/** Notes what there is before a run; the answer completes it afterwards. */
export async function noteCircumstances(quick: boolean): Promise<() => Circumstances> {
  const began = performance.now();
  const at = new Date().toISOString();
  const before = load();
  const commit = await currentCommit();
  const cores = cpus();
  const machine = {
    cpu: cores[0]?.model.trim() ?? "unknown",
    cores: cores.length,
    memoryMB: Math.round(totalmem() / 1024 / 1024),
    kernel: release(),
    node: process.version,
  };
  return () => {
    const took = duration(performance.now() - began);
    return { commit, at, quick, took, machine, load: { before, after: load() } };
  };
}

function load(): number {
  return loadavg()[0] ?? Number.NaN;
}

async function currentCommit(): Promise<string> {
  const git = async (...args: string[]) => (await run("git", args, { env: process.env })).stdout.trim();
  const [commit, changed] = [await git("rev-parse", "--short", "HEAD"), await git("status", "--porcelain", "-uno")];
  return `${commit || "unknown"}${changed === "" ? "" : "+"}`;
}
