import { accessSync, constants, readFileSync } from "node:fs";
import { delimiter, dirname, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { type DispatcherOptions, KubeConfig } from "@kubernetes/client-node/dist/config.js";
import type { RequestContext } from "@kubernetes/client-node/dist/gen/http/http.js";
import { load } from "js-yaml";
import * as z from "zod";

const TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/**
 * A KubeConfig that keeps its connections. The stock one makes a new connection pool for every request, that is a TLS
 * handshake each and a socket left open; this one keeps the pool as long as the certificates stay the same. Tokens are
 * still read afresh from their file, so rotation works.
 */
export class KeptAliveConfig extends KubeConfig {
  #options: DispatcherOptions | undefined;
  #pool: ReturnType<RequestContext["getDispatcher"]>;

  override createDispatcherOptions(
    ...parameters: Parameters<KubeConfig["createDispatcherOptions"]>
  ): DispatcherOptions {
    const options = super.createDispatcherOptions(...parameters);
    // Over HTTP/2 undici 8.12 leaves requests hanging when a connection broke while another was being made.
    if (options.type === "agent") Object.assign(options.connect, { allowH2: false });
    if (options.type === "proxy") Object.assign(options.requestTls, { allowH2: false });
    if (!isDeepStrictEqual(options, this.#options)) {
      this.#options = options;
      this.#pool = undefined;
    }
    return options;
  }

  override async applySecurityAuthentication(context: RequestContext): Promise<void> {
    await super.applySecurityAuthentication(context);
    this.#pool ??= context.getDispatcher();
    if (this.#pool !== undefined) context.setDispatcher(this.#pool);
  }
}

/**
 * Finds the API server: the file(s) of `KUBECONFIG` if that is set, else the pod's service account. `~/.kube/config` is
 * never read: what runs unattended must not act on whatever cluster somebody last looked at.
 *
 * @throws Error saying what was looked for, when there is neither, or when a file cannot be read
 */
export function loadConfig(env: NodeJS.ProcessEnv): KubeConfig {
  const config = new KeptAliveConfig();
  const files = (env.KUBECONFIG ?? "").split(delimiter).filter((file) => file !== "");
  for (const file of files) {
    let part: KubeConfig;
    try {
      part = loadFile(file);
    } catch (error) {
      throw new Error(`KUBECONFIG names ${file}, which cannot be loaded: ${String(error)}`, { cause: error });
    }
    config.mergeConfig(part, config.currentContext !== undefined);
  }
  if (files.length === 0) {
    if (env.KUBERNETES_SERVICE_HOST === undefined || !readable(TOKEN_PATH)) {
      throw new Error(
        `no API server: KUBECONFIG is not set, and this is no pod with a service account (no KUBERNETES_SERVICE_HOST, or ${TOKEN_PATH} cannot be read)`,
      );
    }
    config.loadFromCluster();
  }
  if (!config.getCurrentCluster()) {
    throw new Error(`KUBECONFIG (${files.join(delimiter)}) has no usable current-context`);
  }
  return config;
}

const usersSchema = z.object({
  users: z.array(z.object({ name: z.string(), user: z.looseObject({ tokenFile: z.string().optional() }).nullish() })),
});

/** Reads one kubeconfig, with the `tokenFile` of its users, which the stock loader drops. */
function loadFile(file: string): KubeConfig {
  const config = new KubeConfig();
  config.loadFromFile(file);
  const tokenFiles = new Map(
    usersSchema
      .safeParse(load(readFileSync(file, "utf8")))
      .data?.users.map(({ name, user }) => [name, user?.tokenFile]),
  );
  config.users = config.users.map((user) => {
    const tokenFile = tokenFiles.get(user.name);
    if (tokenFile === undefined) return user;
    // As a pod's own service account is described: the file is read again when the token in it may have been renewed.
    const provider = { name: "tokenFile", config: { tokenFile: resolve(dirname(file), tokenFile) } };
    return { name: user.name, authProvider: provider };
  });
  return config;
}

function readable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
