import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { Access } from "../access.ts";
import { parseAuditLog } from "../audit.ts";
import { run } from "../run.ts";
import { read } from "../shared/kubernetesObjects.ts";
import type { NodeAccess } from "../shared/sharedCluster.ts";
import { AUDIT_LOG } from "./config.ts";
import { CLUSTER } from "./kind.ts";

const pollMs = 200;
const controlPlane = `${CLUSTER}-control-plane`;

const pod = z.looseObject({
  spec: z.looseObject({ nodeName: z.string() }),
  status: z.looseObject({
    containerStatuses: z.array(
      z.looseObject({
        containerID: z.string().optional(),
        state: z.looseObject({ running: z.looseObject({}).optional() }),
      }),
    ),
  }),
});

/** Runs a program in a node, which is a container that has the node's name. Throws with its words when it fails. */
export async function inNode(node: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  const { code, stdout, stderr } = await run("docker", ["exec", node, ...args], { env });
  if (code !== 0) throw new Error(`in ${node}, ${args.join(" ")}: ${stderr.trim()}`);
  return stdout;
}

/** Gets at the nodes of our kind cluster. Its audit log begins with this call. */
export async function kindNodes(access: Access, env: NodeJS.ProcessEnv): Promise<NodeAccess> {
  const already = Number(await inNode(controlPlane, ["stat", "-c", "%s", AUDIT_LOG], env));

  /** Signals the first process of each of a pod's running containers. Answers their names in containerd. */
  async function signal(namespace: string, name: string, sent: NodeJS.Signals): Promise<string[]> {
    const found = await read(access, pod, "pod", namespace, name);
    if (found === undefined) throw new Error(`no pod ${namespace}/${name}`);
    const running = found.status.containerStatuses.filter(({ state }) => state.running !== undefined);
    const containers = running.map(({ containerID = "" }) => containerID.replace(/^containerd:\/\//, ""));
    for (const container of containers) {
      await inNode(found.spec.nodeName, ["ctr", "-n", "k8s.io", "tasks", "kill", "--signal", sent, container], env);
    }
    return containers;
  }

  return {
    killPod: async (namespace, name, sent) => void (await signal(namespace, name, sent)),
    audit: async () => parseAuditLog(await inNode(controlPlane, ["tail", "-c", `+${already + 1}`, AUDIT_LOG], env)),
    async restartApiServer() {
      const apiServer = `kube-apiserver-${controlPlane}`;
      const [before] = await signal("kube-system", apiServer, "SIGKILL");
      // Its pod tells of the new container only after that serves.
      for (;;) {
        const found = await read(access, pod, "pod", "kube-system", apiServer).catch(() => undefined);
        const [now] = found?.status.containerStatuses ?? [];
        if (now?.state.running !== undefined && now.containerID !== `containerd://${before}`) return;
        await sleep(pollMs);
      }
    },
  };
}
