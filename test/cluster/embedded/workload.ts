import path from "node:path";
import { pino } from "pino";
import { type ProcessNode, startProcessNode } from "../processNode/processNode.ts";
import { bundle } from "./bundle.ts";
import { choose, type HostOptions } from "./hostOptions.ts";
import { images } from "./images.ts";
import { type ObjectStoreServer, startObjectStore } from "./objectStore.ts";
import { clusterVariable } from "./sweep.ts";

/** What runs beside the control plane. */
export interface Workload {
  readonly objectStore: ObjectStoreServer;
  readonly node: ProcessNode;
}

export interface WorkloadOptions {
  readonly folder: string;
  readonly logs: string;
  readonly programs: HostOptions["programs"];
  /** The administrator's, once the API server serves. */
  readonly kubeconfig: Promise<string>;
  /** Told of the node as soon as it may have processes, to end them in good order whatever happens next. */
  started(node: ProcessNode): void;
}

/** Starts the object store and a node that runs pods as local processes. */
export async function startWorkload({
  folder,
  logs,
  programs,
  kubeconfig,
  started,
}: WorkloadOptions): Promise<Workload> {
  const [objectStore, operationRunner, administrator] = await Promise.all([
    startObjectStore(folder, logs, choose(programs, ["versitygw"]).versitygw),
    bundle(path.join(folder, "operation-runner")),
    kubeconfig,
  ]);
  const node = await startProcessNode({
    kubeconfig: administrator,
    dir: path.join(folder, "node"),
    images: images({
      programs: choose(programs, ["velero", "velero-plugin-for-aws"]),
      operationRunner,
      credentials: {
        AWS_ACCESS_KEY_ID: objectStore.bucket.accessKeyId,
        AWS_SECRET_ACCESS_KEY: objectStore.bucket.secretAccessKey,
      },
      sockets: path.join(folder, "tmp"),
      env: { [clusterVariable]: folder },
    }),
    log: pino({ level: "debug" }, pino.destination(path.join(logs, "process-node.log"))),
  });
  started(node);
  return { objectStore, node };
}
