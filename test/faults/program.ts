import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { stringify } from "yaml";
import { build } from "../../src/build/bundle.ts";
import { type ApiCall, startApiProxy, type When } from "./apiProxy.ts";

/** How a run of the program ended. */
export interface Run {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly calls: readonly ApiCall[];
  readonly output: string;
  /** Whether the call that was to be struck was reached. */
  readonly struck: boolean;
}

export interface Identity {
  /** The API server's URL and CA. */
  readonly server: { url: string; ca: string };
  /** The token of the ServiceAccount that the program runs as. */
  readonly token: string;
}

/** The bundled program, run as its own process behind a proxy that can kill it at any of its API calls. */
export interface Program {
  /**
   * Runs one subcommand to its end.
   *
   * @param env what the container's environment would be
   * @param fault SIGKILLs the process before or after that call
   * @param until ends a run that would go on for ever, with SIGTERM
   */
  run(
    args: readonly string[],
    identity: Identity,
    env: NodeJS.ProcessEnv,
    options?: { fault?: { call: number; when: When } | undefined; until?: Promise<unknown> },
  ): Promise<Run>;
  remove(): Promise<void>;
}

/** Bundles the sources as they are now. */
export async function bundledProgram(): Promise<Program> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "operation-runner-faults-"));
  await build(folder);
  let runs = 0;
  return {
    async run(args, identity, env, { fault, until } = {}) {
      const kubeconfig = path.join(folder, `kubeconfig-${++runs}`);
      let struck = false;
      let kill = () => {};
      const proxy = await startApiProxy(
        identity.server,
        fault && {
          ...fault,
          strike: () => {
            struck = true;
            kill();
          },
        },
      );
      await writeFile(kubeconfig, kubeconfigFor(proxy.url, identity.token), { mode: 0o600 });
      const child = spawn(process.execPath, [path.join(folder, "operation-runner.js"), ...args], {
        env: { PATH: process.env.PATH, KUBECONFIG: kubeconfig, ...env },
        stdio: ["ignore", "pipe", "pipe"],
      });
      kill = () => child.kill("SIGKILL");
      until?.then(
        () => child.kill("SIGTERM"),
        () => child.kill("SIGTERM"),
      );
      const output: string[] = [];
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => output.push(String(chunk)));
      const ended = await new Promise<Pick<Run, "code" | "signal">>((resolve, reject) => {
        child.once("error", reject);
        child.once("close", (code, signal) => resolve({ code, signal }));
      });
      await proxy.close();
      return { ...ended, calls: proxy.calls, output: output.join(""), struck };
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

function kubeconfigFor(server: string, token: string): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    // Plain HTTP to a proxy on loopback, which itself verifies the API server: there is no TLS to skip.
    clusters: [{ name: "proxy", cluster: { server, "insecure-skip-tls-verify": true } }],
    users: [{ name: "program", user: { token } }],
    contexts: [{ name: "proxy", context: { cluster: "proxy", user: "program" } }],
    "current-context": "proxy",
  });
}
