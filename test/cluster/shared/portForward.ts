import path from "node:path";
import { createInterface } from "node:readline";
import type { Access } from "../access.ts";
import { spawnEndingWithParent } from "../toolchain/endWithParent.ts";

export interface ForwardTarget {
  readonly namespace: string;
  /** As kubectl takes it, such as service/web. */
  readonly target: string;
  readonly port: number;
}

/** A loopback port that leads into the cluster. */
export interface PortForward {
  /** Its URL; begins to forward, again too if a connection to the cluster was lost. */
  url(): Promise<string>;
  close(): void;
}

/** Forwards as soon as it is asked for its URL, and at most as long as this process lives. */
export function portForward(
  access: Access,
  env: NodeJS.ProcessEnv,
  { namespace, target, port }: ForwardTarget,
): PortForward {
  let current: { url: Promise<string>; end(): void } | undefined;

  function start() {
    const args = ["port-forward", "-n", namespace, target, `:${port}`, "--address=127.0.0.1"];
    const child = spawnEndingWithParent(path.join(access.programs, "kubectl"), args, {
      cwd: "/",
      env: { ...env, KUBECONFIG: access.kubeconfig, KUBERC: "off" },
    });
    const url = new Promise<string>((resolve, reject) => {
      const words: string[] = [];
      createInterface({ input: child.stderr }).on("line", (line) => words.push(line));
      createInterface({ input: child.stdout }).on("line", (line) => {
        const [, local] = /^Forwarding from (127\.0\.0\.1:\d+) /.exec(line) ?? [];
        if (local !== undefined) resolve(`http://${local}`);
      });
      child.once("error", reject);
      child.once("exit", () => {
        current = undefined;
        reject(new Error(`kubectl port-forward: ${words.join("; ")}`));
      });
    });
    return { url, end: () => child.stdin.end() };
  }

  return {
    url() {
      current ??= start();
      return current.url;
    },
    close: () => current?.end(),
  };
}
