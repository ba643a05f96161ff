import { randomUUID } from "node:crypto";
import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive, type ProcessId, processId, sameProcess } from "../processes.ts";

const pollMs = 250;

/**
 * Runs `work` while holding the lock file `file`, so that two processes do not
 * do the same work side by side. Waits as long as a living process holds it
 * (`waiting` hears of it); the lock of a dead one is taken over.
 *
 * The lock saves work, it does not guard data: in the instant of a takeover two
 * processes may both get through, so `work` must end in an atomic rename.
 */
export async function withLock<T>(
  file: string,
  waiting: (owner: ProcessId) => void,
  work: () => Promise<T>,
): Promise<T> {
  await mkdir(path.dirname(file), { recursive: true });
  const me = await processId(process.pid);
  for (;;) {
    if (await create(file, me)) break;
    const owner = await read(file);
    if (owner === undefined) continue;
    if (await isAlive(owner)) {
      waiting(owner);
      await sleep(pollMs);
    } else {
      await discard(file, owner);
    }
  }
  try {
    return await work();
  } finally {
    await rm(file, { force: true });
  }
}

/** Puts the lock file in place whole or not at all: nobody ever reads half a lock. */
async function create(file: string, owner: ProcessId): Promise<boolean> {
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, JSON.stringify(owner));
  try {
    await link(draft, file);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

async function read(file: string): Promise<ProcessId | undefined> {
  const text = await readFile(file, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || !("pid" in value) || typeof value.pid !== "number")
    return undefined;
  return { pid: value.pid, started: "started" in value ? String(value.started) : "" };
}

/** Moves a dead owner's lock away; puts it back when somebody else had already replaced it. */
async function discard(file: string, owner: ProcessId): Promise<void> {
  const aside = `${file}.${randomUUID()}`;
  await rename(file, aside).catch(() => undefined);
  const taken = await read(aside);
  if (taken !== undefined && !sameProcess(taken, owner)) await link(aside, file).catch(() => undefined);
  await rm(aside, { force: true });
}
