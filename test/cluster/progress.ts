/** Where progress of long work goes, one line of plain text at a time. */
export type Progress = (line: string) => void;

/** How often a long step says that it is alive. */
export const heartbeatMs = 5_000;

/** Prints progress to a stream, line by line, so that it reads the same in a terminal, in CI and in a pipe. */
export function printProgress(stream: NodeJS.WritableStream): Progress {
  return (line) => stream.write(`${line}\n`);
}

/**
 * Runs `work` and reports `describe(seconds so far)` at once, and again every
 * five seconds until it ends.
 */
export async function withHeartbeat<T>(
  progress: Progress,
  describe: (elapsed: string) => string,
  work: () => Promise<T>,
): Promise<T> {
  const began = performance.now();
  const report = () => progress(describe(duration(performance.now() - began)));
  report();
  const timer = setInterval(report, heartbeatMs);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/** Passes on at most one call per `milliseconds`, the first one at once. */
export function every<Value>(
  milliseconds: number,
  call: (value: Value, elapsed: string) => void,
): (value: Value) => void {
  const began = performance.now();
  let last = Number.NEGATIVE_INFINITY;
  return (value) => {
    const now = performance.now();
    if (now - last < milliseconds) return;
    last = now;
    call(value, duration(now - began));
  };
}

/** Milliseconds as people say them: "0.4 s", "45 s", "3 min 07 s". */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}
