import { type Agent, type IncomingMessage, request as plainRequest } from "node:http";
import { request as secureRequest } from "node:https";
import { Readable } from "node:stream";
import {
  type HttpLibrary,
  type RequestContext,
  type ResponseBody,
  ResponseContext,
} from "@kubernetes/client-node/dist/gen/http/http.js";
import { from, type Observable } from "@kubernetes/client-node/dist/gen/rxjsStub.js";
import { bytesOf } from "./stream.ts";

/**
 * The Kubernetes client's HTTP, over Node's own modules. The stock one loads undici, which costs a short-lived Job more
 * time and memory than all the rest of the client.
 */
export class NodeHttpLibrary implements HttpLibrary {
  readonly #agent: () => Agent;

  /** @param agent returns the agent for the next request */
  constructor(agent: () => Agent) {
    this.#agent = agent;
  }

  /** Resolves when the answer begins. Follows no redirect: the API server sends none. */
  send(context: RequestContext): Observable<Answer> {
    return from(this.#send(context));
  }

  async #send(context: RequestContext): Promise<Answer> {
    const url = new URL(context.getUrl());
    const body = context.getBody()?.toString() ?? "";
    // Node omits Content-Length for a DELETE; the server would then take the body for the next request.
    const length = body === "" ? {} : { "Content-Length": Buffer.byteLength(body) };
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const options = {
      method: context.getHttpMethod(),
      headers: { ...context.getHeaders(), ...length },
      agent: this.#agent(),
      signal: context.getSignal(),
    };
    const request = (url.protocol === "http:" ? plainRequest : secureRequest)(url, options, resolve);
    request.on("error", reject);
    request.end(body);
    return new Answer(await promise);
  }
}

/** An answer that has begun. Its body can be read once, from `message` or as a whole. */
export class Answer extends ResponseContext {
  readonly message: IncomingMessage;

  constructor(message: IncomingMessage) {
    super(message.statusCode ?? 0, headersOf(message), bodyOf(message));
    this.message = message;
  }
}

function headersOf({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

function bodyOf(message: IncomingMessage): ResponseBody {
  return {
    text: async () => (await bytesOf(message)).toString("utf8"),
    binary: () => bytesOf(message),
    stream: () => Readable.toWeb(message),
  };
}
