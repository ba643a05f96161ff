import { open, readFile, stat } from "node:fs/promises";

const MESSAGE_BYTES = 4096;
const LOG_BYTES = 2048;
const LOG_LINES = 80;

/**
 * The termination message of a container: what it wrote into its message file, cut to 4096 bytes; when that is empty,
 * the exit code is not 0 and the policy is FallbackToLogsOnError, the end of its log (at most 80 lines, 2048 bytes).
 */
export async function terminationMessage(
  exitCode: number,
  policy: string | undefined,
  messageFile: string,
  logFile: string,
): Promise<string | undefined> {
  // A container may have removed the file: that is no message.
  const file = await readFile(messageFile).catch(() => Buffer.alloc(0));
  const written = file.subarray(0, MESSAGE_BYTES).toString("utf8");
  if (written !== "") return written;
  if (policy !== "FallbackToLogsOnError" || exitCode === 0) return undefined;
  const end = await lastBytes(logFile, LOG_BYTES);
  return (
    end
      .split("\n")
      .slice(-LOG_LINES - 1)
      .join("\n") || undefined
  );
}

async function lastBytes(file: string, count: number): Promise<string> {
  const { size } = await stat(file);
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(count), 0, count, Math.max(0, size - count));
    return buffer.subarray(0, bytesRead).toString("utf8");
  } finally {
    await handle.close();
  }
}
