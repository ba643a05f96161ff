import { isDeepStrictEqual } from "node:util";
import { type DispatcherOptions, KubeConfig } from "@kubernetes/client-node";
import type { RequestContext } from "@kubernetes/client-node/dist/gen/http/http.js";

/**
 * A KubeConfig for the Kubernetes client's own API classes that keeps its connections. The stock one makes a connection pool
 * for every request, that is a TLS handshake each and a socket left open.
 */
export class PooledConfig extends KubeConfig {
  #options: DispatcherOptions | undefined;
  #pool: ReturnType<RequestContext["getDispatcher"]>;

  override createDispatcherOptions(
    ...parameters: Parameters<KubeConfig["createDispatcherOptions"]>
  ): DispatcherOptions {
    const options = super.createDispatcherOptions(...parameters);
    // Over HTTP/2 undici 8.12 leaves requests hanging when a connection broke while another was being made.
    if (options.type === "agent") Object.assign(options.connect, { allowH2: false });
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
