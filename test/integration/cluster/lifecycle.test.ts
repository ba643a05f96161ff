import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { clusterProcesses } from "../../cluster/embedded/sweep.ts";
import { connectCluster } from "../../cluster/startCluster.ts";
import { temporaryFolder } from "../../temporaryFolder.ts";
import { isGone, type OwnedCluster, ownedCluster } from "./ownedCluster.ts";

const folder = temporaryFolder();
let owner: OwnedCluster;

beforeEach(() => {
  owner = ownedCluster("api", folder());
});

afterEach(() => owner.kill("SIGKILL"));

describe("a cluster ends with its owner, and leaves no process and no file", () => {
  test.each(["SIGINT", "SIGTERM", "SIGKILL", "SIGABRT"] as const)("when the owner gets %s", async (signal) => {
    const { folder: cluster } = await owner.up();
    expect((await clusterProcesses(cluster)).length).toBeGreaterThanOrEqual(3);
    owner.kill(signal);
    await isGone(cluster, folder());
  });

  test("when the owner is killed while the cluster starts", async () => {
    const cluster = await owner.starting();
    owner.kill("SIGKILL");
    await isGone(cluster, folder());
  });

  test("when the cluster's host is killed", async () => {
    const { folder: cluster, host } = await owner.up();
    process.kill(host.pid, "SIGKILL");
    await isGone(cluster, folder());
  });
});

test("a restarted API server breaks connections, keeps its address and has lost nothing", async () => {
  const running = await owner.up();
  const cluster = connectCluster(running, process.env);
  await cluster.kubectl(["create", "configmap", "before", "-n", "default"]);
  const args = ["get", "configmap", "before", "-n", "default", "--watch", "-o", "name"];
  const watch = spawn(path.join(running.programs, "kubectl"), args, {
    env: { KUBECONFIG: running.kubeconfig, KUBECACHEDIR: path.join(folder(), "kubectl-cache"), KUBERC: "off" },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = once(watch, "exit");
  expect(String(await once(watch.stdout, "data"))).toContain("configmap/before");
  await cluster.restartApiServer();
  await ended;
  expect((await cluster.kubectl(["get", "configmap", "before", "-n", "default"])).code).toBe(0);
});
