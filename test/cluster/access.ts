import { readdir } from "node:fs/promises";
import path from "node:path";
import { stringify } from "yaml";
import type { Cluster } from "./cluster.ts";
import { run } from "./run.ts";

/** kubectl, as every driver offers it. */
export type Access = Pick<Cluster, "kubeconfig" | "programs" | "kubectl" | "apply">;

export interface AccessOptions {
  readonly kubeconfig: string;
  /** Folder with kubectl in it. */
  readonly programs: string;
  /** Where kubectl keeps what it knows of the cluster. */
  readonly cache: string;
}

/** Access to a cluster by kubectl. Nothing of the user's own, neither settings nor cache, is read or written. */
export function accessTo({ kubeconfig, programs, cache }: AccessOptions, env: NodeJS.ProcessEnv): Access {
  const kubectlEnv = { ...env, KUBERC: "off", KUBECACHEDIR: cache };
  const kubectl: Access["kubectl"] = (args, options = {}) =>
    run(path.join(programs, "kubectl"), args, {
      env: { ...kubectlEnv, KUBECONFIG: options.as ?? kubeconfig },
      input: options.input,
    });
  return {
    kubeconfig,
    programs,
    kubectl,
    async apply(manifests) {
      const args = ["apply", "--server-side"];
      const result =
        typeof manifests === "string"
          ? await kubectl([...args, (await isKustomization(manifests)) ? "-k" : "-f", manifests])
          : await kubectl([...args, "-f", "-"], { input: manifests.map((object) => stringify(object)).join("---\n") });
      if (result.code !== 0) throw new Error(`kubectl apply failed: ${result.stderr.trim()}`);
    },
  };
}

async function isKustomization(target: string): Promise<boolean> {
  return readdir(target).then(
    (files) => files.includes("kustomization.yaml"),
    () => false,
  );
}
