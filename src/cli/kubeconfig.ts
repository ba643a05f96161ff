import { existsSync } from "node:fs";
import path from "node:path";
import type { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import type { RequestContext } from "@kubernetes/client-node/dist/gen/http/http.js";
import { KeptAliveConfig, loadFile, runsInPod } from "../kube/config.ts";

/** What a person says about the cluster they mean. */
export interface ClusterChoice {
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly namespace?: string | undefined;
  /** The user to act as. */
  readonly as?: string | undefined;
}

export interface ChosenCluster {
  readonly config: KeptAliveConfig;
  readonly namespace: string;
}

/**
 * Finds the cluster that a person means, as kubectl does: `--kubeconfig`, else the files of `$KUBECONFIG`, else
 * `~/.kube/config`, else the pod's service account; of several files the first that says something counts. The programs
 * that run unattended have a stricter loader (src/kube/config.ts).
 *
 * @param home the person's home folder; empty: they have none
 * @throws Error saying what was looked for
 */
export function chooseCluster(choice: ClusterChoice, env: NodeJS.ProcessEnv, home: string): ChosenCluster {
  const config = new PersonsConfig(choice.as);
  const files = filesOf(choice, env, home);
  if (files.length === 0) {
    if (!runsInPod(env)) {
      throw new Error(
        "no cluster: no --kubeconfig, KUBECONFIG is not set, there is no ~/.kube/config, and this is no pod with a service account",
      );
    }
    config.loadFromCluster();
  } else {
    merge(config, files.map(loaded));
  }
  if (choice.context !== undefined) config.setCurrentContext(choice.context);
  const context = config.getContextObject(config.getCurrentContext());
  if (!context || !config.getCurrentCluster()) throw new Error(noContext(config, choice.context, files));
  return { config, namespace: choice.namespace || context.namespace || "default" };
}

/** The contexts that `--context` could name. */
export function contextNames(config: KubeConfig): string[] {
  return config.getContexts().map(({ name }) => name);
}

function filesOf({ kubeconfig }: ClusterChoice, env: NodeJS.ProcessEnv, home: string): string[] {
  if (kubeconfig !== undefined) return [kubeconfig];
  const named = (env.KUBECONFIG ?? "").split(path.delimiter).filter((file) => file !== "");
  // kubectl creates what is missing there when it writes; reading, it goes by the others.
  const present = named.filter((file) => existsSync(file));
  if (named.length > 0 && present.length === 0) {
    throw new Error(`KUBECONFIG names ${named.join(path.delimiter)}, and there is no such file`);
  }
  if (named.length > 0) return present;
  const own = path.join(home, ".kube", "config");
  return home !== "" && existsSync(own) ? [own] : [];
}

function loaded(file: string): KubeConfig {
  try {
    return loadFile(file);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`kubeconfig ${file} cannot be loaded: ${why}`, { cause: error });
  }
}

/** Of what several files name alike the first counts. */
function merge(config: KubeConfig, parts: readonly KubeConfig[]): void {
  config.loadFromOptions({
    clusters: firstOfEachName(parts.flatMap((part) => part.getClusters())),
    users: firstOfEachName(parts.flatMap((part) => part.getUsers())),
    contexts: firstOfEachName(parts.flatMap((part) => part.getContexts())),
    currentContext: parts.map((part) => part.getCurrentContext()).find((name) => name),
  });
}

function firstOfEachName<T extends { readonly name: string }>(entries: readonly T[]): T[] {
  const found = new Map<string, T>();
  for (const entry of entries) if (!found.has(entry.name)) found.set(entry.name, entry);
  return [...found.values()];
}

function noContext(config: KubeConfig, asked: string | undefined, files: readonly string[]): string {
  const known = contextNames(config);
  const have = known.length === 0 ? "there is none" : `there are ${known.join(", ")}`;
  const where = files.length === 0 ? "the pod's service account" : files.join(path.delimiter);
  if (asked !== undefined) return `${where}: no usable context "${asked}"; ${have}`;
  return `${where}: no usable current-context; name one by --context: ${have}`;
}

class PersonsConfig extends KeptAliveConfig {
  readonly #as: string | undefined;

  constructor(as: string | undefined) {
    super();
    this.#as = as;
  }

  override async applySecurityAuthentication(context: RequestContext): Promise<void> {
    await super.applySecurityAuthentication(context);
    if (this.#as !== undefined) context.setHeaderParam("Impersonate-User", this.#as);
  }
}
