import { readdir, readFile, readlink } from "node:fs/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { driverChoice } from "../cluster/driverChoice.ts";
import { clusterProcesses } from "../cluster/embedded/sweep.ts";
import { connectCluster } from "../cluster/startCluster.ts";
import { isGone, type OwnedCluster, ownedCluster } from "../integration/cluster/ownedCluster.ts";
import { installPlatform } from "../scenario/platform.ts";
import { temporaryFolder } from "../temporaryFolder.ts";

const folder = temporaryFolder();
let owner: OwnedCluster;

beforeEach(() => {
  owner = ownedCluster("full", folder());
});

afterEach(() => owner.kill("SIGKILL"));

/** 127.0.0.1 and ::1 as Linux shows them. */
const loopback = ["0100007F", "00000000000000000000000001000000"];

/** Local addresses on which processes listen, as Linux shows them. */
async function listening(pids: readonly number[]): Promise<string[]> {
  const sockets = new Set<string>();
  for (const pid of pids) {
    const descriptors = await readdir(`/proc/${pid}/fd`);
    for (const each of descriptors) {
      const inode = /^socket:\[(\d+)\]$/.exec(await readlink(`/proc/${pid}/fd/${each}`).catch(() => ""))?.[1];
      if (inode !== undefined) sockets.add(inode);
    }
  }
  const tables = await Promise.all(["tcp", "tcp6"].map((table) => readFile(`/proc/net/${table}`, "utf8")));
  const listeners = tables.flatMap((table) => table.split("\n").map((row) => row.trim().split(/\s+/)));
  const LISTEN = "0A";
  return listeners
    .filter(([, , , state, , , , , , inode]) => state === LISTEN && sockets.has(inode ?? ""))
    .map(([, address]) => address?.split(":")[0] ?? "");
}

// Of the embedded driver, whichever the other files run on.
test.skipIf(driverChoice(process.env).driver !== "embedded")(
  "a cluster at work listens on the loopback only, and goes with its owner, pods and Velero's plugins included",
  async () => {
    const running = await owner.up();
    await installPlatform(connectCluster(running, process.env), () => undefined);
    const processes = await clusterProcesses(running.folder);
    if (process.platform === "linux") {
      const addresses = await listening([...processes, running.host.pid]);
      // API server, etcd, object store, kubelet endpoint, Velero, dispatcher.
      expect(addresses.length).toBeGreaterThanOrEqual(6);
      expect(addresses.filter((address) => !loopback.includes(address))).toEqual([]);
    }
    owner.kill("SIGKILL");
    await isGone(running.folder, folder());
  },
);
