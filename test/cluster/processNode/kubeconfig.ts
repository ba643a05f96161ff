import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { V1Pod } from "@kubernetes/client-node";
import { stringify } from "yaml";

/**
 * Writes the kubeconfig by which a container finds the API server. It refers to the files of the pod's own ServiceAccount
 * volume, so the process acts as its ServiceAccount and follows the renewal of its token. Returns the file's path.
 */
export async function writeKubeconfig(
  { pod, folder, server }: { pod: V1Pod; folder: string; server: string },
  container: string,
  tokenFolder: string,
): Promise<string> {
  const file = join(folder, `kubeconfig-${container}`);
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "cluster", cluster: { server, "certificate-authority": join(tokenFolder, "ca.crt") } }],
    users: [{ name: "pod", user: { tokenFile: join(tokenFolder, "token") } }],
    contexts: [
      { name: "pod", context: { cluster: "cluster", user: "pod", namespace: pod.metadata?.namespace ?? "default" } },
    ],
    "current-context": "pod",
  };
  await writeFile(file, stringify(config), { mode: 0o600 });
  return file;
}
