import os from "node:os";
import type { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import { KubeClient } from "../kube/client.ts";
import { Transport } from "../kube/transport.ts";
import { VERSION } from "../version.ts";
import { type ClusterChoice, chooseCluster } from "./kubeconfig.ts";

/** The cluster that a person means, with their own rights. */
export interface Access {
  readonly client: KubeClient;
  /** For what is asked in another form than as an object: tables. */
  readonly transport: Transport;
  readonly namespace: string;
  /** What the kubeconfig says. */
  readonly config: KubeConfig;
}

/** Opens it; nothing is asked yet. @throws Error when no cluster is named */
export function openAccess(choice: ClusterChoice, env: NodeJS.ProcessEnv): Access {
  const { config, namespace } = chooseCluster(choice, env, homeFolder());
  const transport = new Transport(config, `operation-runner/${VERSION} (cli)`);
  return { client: new KubeClient(transport), transport, namespace, config };
}

/** Empty for a user whom the system does not know, as in a container that runs under any number. */
function homeFolder(): string {
  try {
    return os.homedir();
  } catch {
    return "";
  }
}
