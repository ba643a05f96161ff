import type { KeptAliveConfig } from "../../../src/kube/config.ts";
import { type ApiRequest, Transport } from "../../../src/kube/transport.ts";

/** What happens to the calls of a process. */
export interface Interruptions {
  /** What others do just before a call leaves, which is given as `list backups.velero.io velero-x`. */
  readonly meanwhile?: (call: string) => Promise<void>;
  /** Where the process dies: at its nth call, before the API server hears of it or after it did what was asked. */
  readonly dies?: { readonly call: number; readonly when: "before" | "after" };
}

export class Died extends Error {
  override readonly name = "Died";
}

/** The connection of a process that dies at a given call, or when it is stopped. */
export class MortalTransport extends Transport {
  readonly #stop: AbortController;
  readonly #dies: Interruptions["dies"];
  readonly #meanwhile: Interruptions["meanwhile"];
  #calls = 0;

  constructor(config: KeptAliveConfig, stop: AbortController, { dies, meanwhile }: Interruptions) {
    super(config, "operation-runner/0 (runner)");
    this.#stop = stop;
    this.#dies = dies;
    this.#meanwhile = meanwhile;
  }

  override async text(request: ApiRequest): Promise<string> {
    await this.#meanwhile?.(request.call);
    const strike = this.#isStruck();
    if (strike === "before") this.#die();
    const answer = await super.text(request);
    if (strike === "after") this.#die();
    return answer;
  }

  override async *lines(request: ApiRequest, onContact: () => void): AsyncGenerator<unknown> {
    if (this.#isStruck() !== undefined) this.#die();
    yield* super.lines(request, onContact);
  }

  #isStruck(): "before" | "after" | undefined {
    this.#stop.signal.throwIfAborted();
    this.#calls += 1;
    return this.#dies?.call === this.#calls ? this.#dies.when : undefined;
  }

  #die(): never {
    this.#stop.abort(new Died("killed"));
    throw this.#stop.signal.reason;
  }
}
