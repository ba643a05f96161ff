import { type HttpMethod, RequestContext } from "@kubernetes/client-node/dist/gen/http/http.js";
import type { KeptAliveConfig } from "./config.ts";
import { AnswerTooLargeError, ApiError, UnreachableError } from "./errors.ts";
import { type Answer, NodeHttpLibrary } from "./http.ts";
import { jsonLines, textUpTo } from "./stream.ts";

/** One HTTP request to the API server. */
export interface ApiRequest {
  readonly method: HttpMethod;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Default `application/json`. */
  readonly contentType?: string;
  /** The media type of the answer. Default `application/json`. */
  readonly accept?: string;
  /** The call, for messages: verb, resource, namespace/name. */
  readonly call: string;
  /** How many bytes the answer may have. Default: any number. */
  readonly maxBytes?: number | undefined;
  readonly signal: AbortSignal;
}

/** Sends requests with the identity and over the connections of a KubeConfig. */
export class Transport {
  readonly #config: KeptAliveConfig;
  readonly #server: string;
  readonly #userAgent: string;
  readonly #http: NodeHttpLibrary;
  /** Is told of each answer: the verb and the HTTP status; undefined where no answer came. */
  onAnswer: ((verb: string, code: number | undefined) => void) | undefined;

  constructor(config: KeptAliveConfig, userAgent: string) {
    this.#config = config;
    this.#server = (config.getCurrentCluster()?.server ?? "").replace(/\/+$/, "");
    this.#userAgent = userAgent;
    this.#http = new NodeHttpLibrary(() => config.agent);
  }

  /**
   * Sends and reads the whole answer as text.
   *
   * @throws ApiError when the server refuses, UnreachableError when it does not answer, AnswerTooLargeError when the
   *   answer has more than `maxBytes`, the signal's reason once it aborts
   */
  async text(request: ApiRequest): Promise<string> {
    const context = await this.#context(request);
    return await this.#answered(request, async () => {
      const { body, message } = await this.#accepted(request, context);
      if (request.maxBytes === undefined) return await body.text();
      const text = await textUpTo(message, request.maxBytes);
      if (text === undefined) throw new AnswerTooLargeError(request.call, request.maxBytes);
      return text;
    });
  }

  /**
   * Sends and reads the answer line by line, as JSON, for as long as it lasts. Throws as {@link text}, and SyntaxError
   * for a whole line that is no JSON.
   *
   * @param onContact is called each time the server sends something: when it accepts, and on every line
   */
  async *lines(request: ApiRequest, onContact: () => void): AsyncGenerator<unknown> {
    const context = await this.#context(request);
    const answer = await this.#answered(request, () => this.#accepted(request, context));
    onContact();
    const lines = jsonLines(answer.message);
    try {
      for (;;) {
        const { done, value } = await this.#answered(request, () => lines.next());
        if (done === true) return;
        onContact();
        yield value;
      }
    } finally {
      // A caller that stops early need not know that the connection has broken meanwhile.
      await lines.return(undefined).catch(() => undefined);
    }
  }

  /** Sends and reads the answer as text, part by part as it comes, for as long as it lasts. Throws as {@link text}. */
  async *parts(request: ApiRequest): AsyncGenerator<string> {
    const context = await this.#context(request);
    const answer = await this.#answered(request, () => this.#accepted(request, context));
    const decoder = new TextDecoder();
    const parts = answer.message[Symbol.asyncIterator]();
    for (;;) {
      const { done, value } = await this.#answered(request, () => parts.next());
      if (done === true) return;
      yield decoder.decode(value, { stream: true });
    }
  }

  async #context(request: ApiRequest): Promise<RequestContext> {
    const context = new RequestContext(this.#server + request.path, request.method);
    for (const [name, value] of Object.entries(request.query ?? {})) {
      if (value !== undefined) context.setQueryParam(name, String(value));
    }
    await this.#config.applySecurityAuthentication(context);
    context.setHeaderParam("Accept", request.accept ?? "application/json");
    context.setHeaderParam("User-Agent", this.#userAgent);
    if (request.body !== undefined) {
      context.setHeaderParam("Content-Type", request.contentType ?? "application/json");
      context.setBody(JSON.stringify(request.body));
    }
    context.setSignal(request.signal);
    return context;
  }

  async #accepted(request: ApiRequest, context: RequestContext): Promise<Answer> {
    const verb = request.call.slice(0, request.call.indexOf(" "));
    const answer = await this.#http
      .send(context)
      .toPromise()
      .catch((error: unknown) => {
        this.onAnswer?.(verb, undefined);
        throw error;
      });
    const { httpStatusCode, headers, body } = answer;
    this.onAnswer?.(verb, httpStatusCode);
    if (httpStatusCode >= 200 && httpStatusCode <= 299) return answer;
    throw new ApiError(request.call, httpStatusCode, jsonOrText(await body.text()), headers["retry-after"]);
  }

  /** Turns failures of the network into an UnreachableError that names the call; an abort keeps its own reason. */
  async #answered<T>(request: ApiRequest, answer: () => Promise<T>): Promise<T> {
    try {
      return await answer();
    } catch (error) {
      if (error instanceof ApiError || error instanceof AnswerTooLargeError || error instanceof SyntaxError)
        throw error;
      request.signal.throwIfAborted();
      throw new UnreachableError(request.call, error);
    }
  }
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
