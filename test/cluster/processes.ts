import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

/** One run of one process: a pid alone may have been given to another process since. */
export interface ProcessId {
  readonly pid: number;
  /** When it started, in the operating system's own words; only good for comparing. */
  readonly started: string;
}

/** Identifies a living process. Throws when there is none with that pid. */
export async function processId(pid: number): Promise<ProcessId> {
  const started = await startTime(pid);
  if (started === undefined) throw new Error(`no process ${pid}`);
  return { pid, started };
}

/** True while exactly that process runs. One that has ended and waits for its parent counts as dead. */
export async function isAlive(id: ProcessId): Promise<boolean> {
  return (await startTime(id.pid)) === id.started;
}

export function sameProcess(a: ProcessId, b: ProcessId): boolean {
  return a.pid === b.pid && a.started === b.started;
}

async function startTime(pid: number): Promise<string | undefined> {
  return process.platform === "linux" ? linuxStartTime(pid) : psStartTime(pid);
}

/** Fields of /proc/PID/stat after the command name: state is the first, the start time the 20th. */
async function linuxStartTime(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields?.[0] === "Z" ? undefined : fields?.[19];
}

async function psStartTime(pid: number): Promise<string | undefined> {
  const result = await promisify(execFile)("ps", ["-o", "stat=,lstart=", "-p", String(pid)]).catch(() => undefined);
  const line = result?.stdout.trim();
  return line === undefined || line === "" || line.startsWith("Z") ? undefined : line.replace(/^\S+\s+/, "");
}
