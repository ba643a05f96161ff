import { spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { expect, vi } from "vitest";
import { z } from "zod";
import { type Connection, connection, type Tier } from "../../cluster/embedded/connection.ts";
import { clusterProcesses } from "../../cluster/embedded/sweep.ts";

const line = z.object({ progress: z.string().optional(), connection: connection.optional() });
type Line = z.infer<typeof line>;

/** A process that owns a cluster, to see what becomes of the cluster when it ends. */
export interface OwnedCluster {
  /** Resolves when the cluster is up. */
  up(): Promise<Connection>;
  /** Resolves when programs of the cluster run, long before it is up; answers its folder. */
  starting(): Promise<string>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts such a process; its cluster's files lie in `folder`, which has to be empty. */
export function ownedCluster(tier: Tier, folder: string): OwnedCluster {
  const owner = spawn(process.execPath, [path.join(import.meta.dirname, "clusterOwner.ts"), tier], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: owner.stdout })[Symbol.asyncIterator]();

  /** Reads the owner's output up to the first line in which `pick` finds something. */
  async function hears<T>(pick: (said: Line) => T | undefined): Promise<T> {
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error("the cluster's owner ended early");
      const found = pick(line.parse(JSON.parse(value)));
      if (found !== undefined) return found;
    }
  }

  return {
    up: () => hears((said) => said.connection),
    async starting() {
      await hears(({ progress }) => (progress?.startsWith("starting") ? true : undefined));
      return vi.waitFor(
        async () => {
          const [cluster] = await readdir(folder);
          expect(cluster).toBeDefined();
          const found = path.join(folder, cluster ?? "");
          expect(await clusterProcesses(found)).not.toEqual([]);
          return found;
        },
        { timeout: 60_000, interval: 5 },
      );
    },
    kill: (signal) => void owner.kill(signal),
  };
}

/** Resolves when nothing of the cluster is there any more: no process, and no file in `folder`. */
export async function isGone(cluster: string, folder: string): Promise<void> {
  await vi.waitFor(
    async () => {
      expect(await clusterProcesses(cluster)).toEqual([]);
      expect(await readdir(folder)).toEqual([]);
    },
    { timeout: 60_000 },
  );
}
