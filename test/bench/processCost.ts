import { readdir, readFile } from "node:fs/promises";

/** What a process has used so far. */
export interface ProcessCost {
  readonly cpuMs: number;
  readonly rssMB: number;
  readonly peakMB: number;
}

/**
 * What a living process has used since it began, all of its threads together. Linux only: to the nanosecond from
 * `/proc/PID/task/TID/schedstat`, where `/proc/PID/stat` would count in steps of 10 ms.
 *
 * @throws Error when there is no such process
 */
export async function costOf(pid: number): Promise<ProcessCost> {
  const threads = await readdir(`/proc/${pid}/task`);
  const schedstats = threads.map(async (thread) => {
    // A thread may end between two looks.
    const text = await readFile(`/proc/${pid}/task/${thread}/schedstat`, "utf8").catch(() => "0");
    return Number(text.split(" ")[0]) / 1e6;
  });
  const cpuMs = (await Promise.all(schedstats)).reduce((sum, each) => sum + each, 0);
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const megabytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) / 1024;
  return { cpuMs, rssMB: megabytes("VmRSS"), peakMB: megabytes("VmHWM") };
}
