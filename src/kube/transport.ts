import type { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import { type HttpMethod, RequestContext, type ResponseContext } from "@kubernetes/client-node/dist/gen/http/http.js";
import { IsomorphicFetchHttpLibrary } from "@kubernetes/client-node/dist/gen/http/isomorphic-fetch.js";
import { ApiError, UnreachableError } from "./errors.ts";

/** One HTTP request to the API server. */
export interface ApiRequest {
  readonly method: HttpMethod;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Default `application/json`. */
  readonly contentType?: string;
  /** What is asked, for messages: verb, resource, namespace/name. */
  readonly call: string;
  readonly signal: AbortSignal;
}

/** Sends requests with the identity and over the connections of a KubeConfig. */
export class Transport {
  readonly #config: KubeConfig;
  readonly #server: string;
  readonly #userAgent: string;
  readonly #http = new IsomorphicFetchHttpLibrary();

  constructor(config: KubeConfig, userAgent: string) {
    this.#config = config;
    this.#server = (config.getCurrentCluster()?.server ?? "").replace(/\/+$/, "");
    this.#userAgent = userAgent;
  }

  /**
   * Sends and waits for the head of the answer; the caller reads its body under the same signal.
   *
   * @throws ApiError when the server refuses, UnreachableError when there is no answer, the signal's reason once it aborts
   */
  async send(request: ApiRequest): Promise<ResponseContext> {
    const context = new RequestContext(this.#server + request.path, request.method);
    for (const [name, value] of Object.entries(request.query ?? {})) {
      if (value !== undefined) context.setQueryParam(name, String(value));
    }
    await this.#config.applySecurityAuthentication(context);
    context.setHeaderParam("Accept", "application/json");
    context.setHeaderParam("User-Agent", this.#userAgent);
    if (request.body !== undefined) {
      context.setHeaderParam("Content-Type", request.contentType ?? "application/json");
      context.setBody(JSON.stringify(request.body));
    }
    context.setSignal(request.signal);
    const response = await answered(request, this.#http.send(context).toPromise());
    if (response.httpStatusCode < 200 || response.httpStatusCode > 299) {
      const text = await answered(request, response.body.text());
      throw new ApiError(request.call, response.httpStatusCode, jsonOrText(text), response.headers["retry-after"]);
    }
    return response;
  }

  /** Sends and reads the whole answer as text. Throws as {@link send}. */
  async text(request: ApiRequest): Promise<string> {
    const response = await this.send(request);
    return await answered(request, response.body.text());
  }
}

/** Turns the network's failures into one error that names the call; an abort keeps its own reason. */
export async function answered<T>(request: Pick<ApiRequest, "call" | "signal">, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    request.signal.throwIfAborted();
    throw new UnreachableError(request.call, error);
  }
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
