import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { auditPolicy } from "../auditPolicy.ts";
import { stateFolder } from "../folders.ts";
import { type Progress, withHeartbeat } from "../progress.ts";
import { run } from "../run.ts";
import type { SharedConnection } from "../shared/connection.ts";
import { ensurePrograms } from "../toolchain/toolchain.ts";
import { kindConfig } from "./config.ts";

/** The name under which kind knows our cluster. */
export const CLUSTER = "operation-runner";

export interface KindOptions {
  /**
   * `OPERATION_RUNNER_KIND_IMAGE`: image of the nodes, kind's default otherwise. `OPERATION_RUNNER_KIND_CONFIG`: path of a
   * configuration in kind's format, for what a machine or a network makes necessary.
   */
  readonly env: NodeJS.ProcessEnv;
  readonly progress: Progress;
}

/** Why there can be no kind cluster on this machine; undefined when there can. */
export async function whyNoKind(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const asked = await run("docker", ["version", "--format", "{{.Server.Version}}"], { env }).catch(() => undefined);
  if (asked === undefined) return "there is no docker command";
  return asked.code === 0 ? undefined : `Docker does not answer: ${asked.stderr.trim().split("\n").at(-1)}`;
}

/**
 * Creates the cluster, or uses the one that is there if it was made with the same image and configuration and answers. It
 * stays until somebody deletes it.
 *
 * @throws Error with the end of what kind said
 */
export async function ensureKind({ env, progress }: KindOptions): Promise<SharedConnection> {
  const { kind } = await ensurePrograms(["kind"], { env, progress });
  const connection = await connectionOf({ env, progress });
  const { folder, kubeconfig } = connection;
  const policyFile = path.join(folder, "audit-policy.json");
  const base = env.OPERATION_RUNNER_KIND_CONFIG ? await readFile(env.OPERATION_RUNNER_KIND_CONFIG, "utf8") : "";
  const config = kindConfig(base, policyFile);
  const image = env.OPERATION_RUNNER_KIND_IMAGE ? ["--image", env.OPERATION_RUNNER_KIND_IMAGE] : [];
  const recipe = [kind, ...image, JSON.stringify(auditPolicy), config].join("\n");
  const recipeFile = path.join(folder, "made-of");
  const same = (await readFile(recipeFile, "utf8").catch(() => "")) === recipe;
  if (same && (await answers(connection, env))) return connection;

  await deleteKind({ env, progress });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(policyFile, JSON.stringify(auditPolicy));
  const configFile = path.join(folder, "config.yaml");
  await writeFile(configFile, config);
  const create = ["create", "cluster", "--name", CLUSTER, "--kubeconfig", kubeconfig, "--config", configFile];
  const created = await withHeartbeat(
    progress,
    (elapsed) => `creating the kind cluster ${CLUSTER}, ${elapsed}`,
    () => run(kind, [...create, ...image, "--wait", "300s"], { env }),
  );
  if (created.code !== 0) {
    throw new Error(`kind create cluster failed:\n${created.stderr.trim().split("\n").slice(-20).join("\n")}`);
  }
  await writeFile(recipeFile, recipe);
  return connection;
}

/** The cluster as it is; undefined when there is none that answers. */
export async function runningKind(options: KindOptions): Promise<SharedConnection | undefined> {
  const connection = await connectionOf(options);
  return (await answers(connection, options.env)) ? connection : undefined;
}

/** Deletes the cluster and what we keep of it. Safe to repeat. */
export async function deleteKind({ env, progress }: KindOptions): Promise<void> {
  const { kind } = await ensurePrograms(["kind"], { env, progress });
  const folder = kindFolder(env);
  const name = ["--name", CLUSTER, "--kubeconfig", path.join(folder, "kubeconfig")];
  const deleted = await run(kind, ["delete", "cluster", ...name], { env });
  if (deleted.code !== 0) throw new Error(`kind delete cluster failed: ${deleted.stderr.trim()}`);
  await rm(folder, { recursive: true, force: true });
}

function kindFolder(env: NodeJS.ProcessEnv): string {
  return path.join(stateFolder(env), "kind");
}

async function connectionOf({ env, progress }: KindOptions): Promise<SharedConnection> {
  const { kubectl } = await ensurePrograms(["kubectl"], { env, progress });
  const folder = kindFolder(env);
  return { driver: "kind", kubeconfig: path.join(folder, "kubeconfig"), programs: path.dirname(kubectl), folder };
}

async function answers({ programs, kubeconfig }: SharedConnection, env: NodeJS.ProcessEnv): Promise<boolean> {
  const ask = ["--kubeconfig", kubeconfig, "get", "--raw", "/readyz", "--request-timeout=10s"];
  return (await run(path.join(programs, "kubectl"), ask, { env: { ...env, KUBERC: "off" } })).code === 0;
}
