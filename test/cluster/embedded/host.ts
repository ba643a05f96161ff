/**
 * The process to which an embedded cluster belongs. It starts everything, takes
 * orders on a socket, and takes everything down when it is asked to (SIGTERM,
 * SIGINT) or when the process that started it is gone, however that ended. Its
 * watcher does the same should this process itself be killed.
 */
import { mkdir, symlink } from "node:fs/promises";
import path from "node:path";
import { processId } from "../processes.ts";
import type { ProcessNode } from "../processNode/processNode.ts";
import { type Connection, writeConnection } from "./connection.ts";
import { listenForOrders, type Order } from "./control.ts";
import { type ControlPlane, controlPlanePrograms, startControlPlane } from "./controlPlane.ts";
import { choose, type HostMessage, type HostOptions, hostOptions } from "./hostOptions.ts";
import { createPki, type Pki } from "./pki.ts";
import { clusterVariable, sweep } from "./sweep.ts";
import { watchHost } from "./watchHost.ts";
import type { Workload } from "./workload.ts";

interface Parts {
  readonly pki: Pki;
  readonly controlPlane: ControlPlane;
  readonly workload: Workload | undefined;
}

async function start(options: HostOptions, started: (node: ProcessNode) => void): Promise<Parts> {
  const { folder, programs } = options;
  const logs = path.join(folder, "logs");
  const bin = path.join(folder, "bin");
  for (const each of [logs, bin, path.join(folder, "tmp"), path.join(folder, "users")]) await mkdir(each);
  for (const name of ["kubectl", "velero"] as const) {
    const program = programs[name];
    if (program !== undefined) await symlink(program, path.join(bin, name));
  }
  const pki = await createPki(path.join(folder, "pki"));
  const controlPlane = startControlPlane({ folder, logs, pki, programs: choose(programs, controlPlanePrograms) });
  if (options.tier === "api") return { pki, controlPlane: await controlPlane, workload: undefined };
  // Loaded only here: a control plane alone starts faster without the Kubernetes client and the bundler.
  const { startWorkload } = await import("./workload.ts");
  const kubeconfig = controlPlane.then((running) => running.kubeconfig);
  const [workload] = await Promise.all([startWorkload({ folder, logs, kubeconfig, programs, started }), controlPlane]);
  return { pki, controlPlane: await controlPlane, workload };
}

/** Carries out orders; each answers with a string, empty where there is nothing to say. */
function orders(parts: Parts, folder: string): (order: Order) => Promise<string> {
  let users = 0;
  const workload = (): Workload => {
    if (parts.workload === undefined) throw new Error("this cluster was started with its control plane only");
    return parts.workload;
  };
  return async (order) => {
    switch (order.do) {
      case "user": {
        const file = path.join(folder, "users", `${users++}.kubeconfig`);
        await parts.pki.writeKubeconfig(file, parts.controlPlane.server, order.name, order.groups);
        return file;
      }
      case "restartApiServer":
        await parts.controlPlane.restartApiServer();
        return "";
      case "pauseObjectStore":
        workload().objectStore.component.signal("SIGSTOP");
        return "";
      case "resumeObjectStore":
        workload().objectStore.component.signal("SIGCONT");
        return "";
      case "killPod":
        await workload().node.kill(order.namespace, order.pod, order.signal);
        return "";
      case "evictPod":
        await workload().node.evict(order.namespace, order.pod);
        return "";
    }
  };
}

async function connectionOf(options: HostOptions, { controlPlane, workload }: Parts): Promise<Connection> {
  const { folder } = options;
  return {
    driver: "embedded",
    tier: options.tier,
    folder,
    host: await processId(process.pid),
    kubeconfig: controlPlane.kubeconfig,
    programs: path.join(folder, "bin"),
    logs: path.join(folder, "logs"),
    auditLog: controlPlane.auditLog,
    socket: path.join(folder, "control.sock"),
    ...(workload === undefined ? {} : { bucket: workload.objectStore.bucket }),
  };
}

async function main(): Promise<void> {
  const options = hostOptions.parse(JSON.parse(process.argv[2] ?? ""));
  const { folder } = options;
  const watcher = watchHost(folder);
  // Inherited by everything that is started from here on.
  process.env[clusterVariable] = folder;
  process.env.TMPDIR = path.join(folder, "tmp");

  let node: ProcessNode | undefined;
  let ending: Promise<void> | undefined;
  const end = (code: number): void => {
    ending ??= (async () => {
      await node?.stop().catch((error: unknown) => console.error("stopping the node failed", error));
      await sweep(folder);
      await watcher.dismiss();
      process.exit(code);
    })();
  };
  process.on("SIGTERM", () => end(0));
  process.on("SIGINT", () => end(0));
  process.on("uncaughtException", (error) => {
    console.error(error);
    end(1);
  });
  let owned = true;
  process.on("disconnect", () => {
    if (owned) end(0);
  });
  // It may have gone while our modules were loading.
  if (!process.connected) end(0);
  const tell = (message: HostMessage) =>
    new Promise<void>((resolve) =>
      process.send === undefined ? resolve() : process.send(message, undefined, undefined, () => resolve()),
    );

  try {
    const parts = await start(options, (startedNode) => {
      node = startedNode;
    });
    const connection = await connectionOf(options, parts);
    await listenForOrders(connection.socket, orders(parts, folder));
    await writeConnection(path.join(folder, "connection.json"), connection);
    if (options.keep !== undefined) {
      await writeConnection(options.keep, connection);
      owned = false;
    }
    await tell({ ready: true });
    if (!owned) process.disconnect();
  } catch (error) {
    if (ending !== undefined) return;
    console.error(error);
    await tell({ error: error instanceof Error ? error.message : String(error) });
    end(1);
  }
}

await main();
