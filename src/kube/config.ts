import { accessSync, constants, readFileSync } from "node:fs";
import { Agent as PlainAgent } from "node:http";
import { Agent as SecureAgent } from "node:https";
import { delimiter, dirname, join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { type DispatcherOptions, KubeConfig } from "@kubernetes/client-node/dist/config.js";
import { HttpProxyAgent, HttpsProxyAgent } from "hpagent";
import { load } from "js-yaml";
import { SocksProxyAgent } from "socks-proxy-agent";
import * as z from "zod";

/** Where a pod finds the token of its service account and the API server's authority. */
const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * How long a connection may be idle before it is closed, in milliseconds. This must come before a load balancer between
 * forgets the connection, or the next request would fail.
 */
const IDLE_MS = 30_000;

/**
 * A KubeConfig that keeps its connections open, in one of Node's agents. The stock one makes a pool for every request:
 * each needs a TLS handshake and leaves a socket open. This one keeps its agent as long as the certificates are the
 * same. Tokens are still read again from their file, so rotation works.
 */
export class KeptAliveConfig extends KubeConfig {
  #options: DispatcherOptions | undefined;
  #agent: PlainAgent | undefined;

  /** The agent for requests that have their credentials already ({@link applySecurityAuthentication}). */
  get agent(): PlainAgent {
    if (this.#agent === undefined) throw new Error("no request has been given its credentials yet");
    return this.#agent;
  }

  /** @returns options by which undici connects nothing: {@link agent} does that */
  override createDispatcherOptions(
    ...parameters: Parameters<KubeConfig["createDispatcherOptions"]>
  ): DispatcherOptions {
    const options = super.createDispatcherOptions(...parameters);
    if (this.#agent === undefined || !isDeepStrictEqual(options, this.#options)) {
      this.#options = options;
      this.#agent = agentFor(options, this.getCurrentCluster()?.server ?? "");
    }
    return { type: "none" };
  }
}

function agentFor(options: DispatcherOptions, server: string): PlainAgent {
  const kept = { keepAlive: true, keepAliveMsecs: IDLE_MS, timeout: IDLE_MS };
  const secure = !server.startsWith("http:");
  switch (options.type) {
    case "none":
    case "agent": {
      const { connect = {} } = options.type === "agent" ? options : {};
      return secure ? new SecureAgent({ ...connect, ...kept }) : new PlainAgent(kept);
    }
    case "proxy": {
      const { uri: proxy, requestTls } = options;
      return secure ? new HttpsProxyAgent({ ...requestTls, ...kept, proxy }) : new HttpProxyAgent({ ...kept, proxy });
    }
    case "socks":
      // The proxy resolves host names, as it does for kubectl: it may know names that this machine does not.
      return new SocksProxyAgent(
        options.uri.replace(/^socks(4|5):/, (_, version) => (version === "4" ? "socks4a:" : "socks5h:")),
        { ...options.requestTls, ...kept },
      );
  }
}

/**
 * Finds the API server: by the file(s) of `KUBECONFIG` if that is set, else by the pod's service account. It never
 * reads `~/.kube/config`: a program that runs unattended must not act on the cluster that somebody used last.
 *
 * @param serviceAccount the folder where a pod's service account is mounted
 * @throws Error that says where it looked, when there is neither, or when a file cannot be read
 */
export function loadConfig(env: NodeJS.ProcessEnv, serviceAccount = SERVICE_ACCOUNT): KeptAliveConfig {
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
    const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = "443" } = env;
    const tokenFile = join(serviceAccount, "token");
    if (host === undefined || !readable(tokenFile)) {
      throw new Error(
        `no API server: KUBECONFIG is not set, and this is no pod with a service account (no KUBERNETES_SERVICE_HOST, or ${tokenFile} cannot be read)`,
      );
    }
    // Not loadFromCluster, which takes longer to recognise an IPv6 address than the rest of the client takes to load.
    const server = `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
    config.loadFromClusterAndUser(
      { name: "in-cluster", server, caFile: join(serviceAccount, "ca.crt"), skipTLSVerify: false },
      { name: "in-cluster", authProvider: { name: "tokenFile", config: { tokenFile } } },
    );
  }
  if (!config.getCurrentCluster()) {
    throw new Error(`KUBECONFIG (${files.join(delimiter)}) has no usable current-context`);
  }
  return config;
}

const usersSchema = z.object({
  users: z.array(z.object({ name: z.string(), user: z.looseObject({ tokenFile: z.string().optional() }).nullish() })),
});

/** Whether this is a pod that has the token of a service account. */
export function runsInPod(env: NodeJS.ProcessEnv): boolean {
  return env.KUBERNETES_SERVICE_HOST !== undefined && readable(join(SERVICE_ACCOUNT, "token"));
}

/** Reads one kubeconfig, with the `tokenFile` of its users, which the stock loader drops. */
export function loadFile(file: string): KubeConfig {
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
    // The form of a pod's own service account: the client then reads the file again when its token may have been
    // renewed.
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
