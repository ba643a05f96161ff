import pino from "pino";
import { runDispatcher } from "../../../../src/dispatcher/dispatcher.ts";
import { settingsSchema } from "../../../../src/dispatcher/settings.ts";
import { KubeClient } from "../../../../src/kube/client.ts";
import type { Clock } from "../../../../src/kube/clock.ts";
import { EventRecorder } from "../../../../src/kube/events.ts";
import type { Fetcher } from "../../../../src/runner/fetcher.ts";
import { LatestOperation } from "../../../../src/runner/latestOperation.ts";
import { conclude } from "../../../../src/runner/main.ts";
import { readSettings } from "../../../../src/runner/settings.ts";
import type { FakeApiServer } from "./fakeApiServer.ts";
import { FakeConnection } from "./fakeConnection.ts";
import type { Container } from "./fakeJobs.ts";

const settings = settingsSchema.parse({});
const logger = pino({ level: "silent" });

export interface ProcessesParts {
  readonly api: FakeApiServer;
  readonly clock: Clock;
  /** How the runners read from the object store. */
  readonly fetcher: Fetcher;
  /** How long the calls take, one after the other and over again, in milliseconds each way. */
  readonly latencies: readonly number[];
  /** Told when a runner dies at one of its calls, by the name of its pod. */
  readonly onRunnerKilled: (pod: string) => void;
  /** Told what the processes leave behind. */
  readonly tell: (line: string) => void;
}

/** The processes of this project: its own code, each on a connection of its own. */
export class Processes {
  /** By name; those that live. */
  readonly connections = new Map<string, FakeConnection>();
  readonly #parts: ProcessesParts;
  #calls = 0;
  #started = 0;

  constructor(parts: ProcessesParts) {
    this.#parts = parts;
  }

  runners(): FakeConnection[] {
    return [...this.connections.values()].filter(({ actor }) => actor.startsWith("runner"));
  }

  dispatchers(): FakeConnection[] {
    return [...this.connections.values()].filter(({ actor }) => actor.startsWith("dispatcher"));
  }

  startRunner(env: NodeJS.ProcessEnv, pod: string): Container {
    const { fetcher, onRunnerKilled, tell } = this.#parts;
    const actor = `runner ${pod}`;
    const connection = this.#connect(actor, () => onRunnerKilled(pod));
    const stop = new AbortController();
    const client = new KubeClient(connection);
    const exit = conclude({
      client,
      clock: connection.clock,
      logger,
      signal: stop.signal,
      settings: readSettings(env),
      events: new EventRecorder(client, logger, {
        component: "runner",
        controller: "ops.vworkspace.io/test",
        instance: pod,
      }),
      latest: new LatestOperation(),
      fetcher,
    }).then(({ exitCode, message }) => {
      this.connections.delete(actor);
      tell(`${actor} exits with ${exitCode}: ${message}`);
      return exitCode;
    });
    return {
      exit,
      stop: () => stop.abort(new Error("SIGTERM")),
      kill: () => this.#kill(connection),
    };
  }

  /** @param identity of one that was killed: its container is started again. Default: another pod's */
  startDispatcher(identity = `dispatcher-${this.#started}`): void {
    this.#started += 1;
    const actor = `dispatcher ${this.#started} as ${identity}`;
    const connection = this.#connect(actor, () => this.killDispatcher(connection, true));
    const over = () => this.connections.delete(actor);
    void runDispatcher({
      client: new KubeClient(connection),
      clock: connection.clock,
      logger,
      settings,
      approvalKey: undefined,
      settingsValid: () => true,
      identity,
      serve: async () => ({ url: "", close: async () => {} }),
      signal: new AbortController().signal,
    }).then(over, over);
  }

  /** Kills a dispatcher, and starts its successor. */
  killDispatcher(connection: FakeConnection, sameIdentity: boolean): void {
    this.#kill(connection);
    this.startDispatcher(sameIdentity ? connection.actor.split(" as ")[1] : undefined);
  }

  killAll(): void {
    for (const connection of this.connections.values()) this.#kill(connection);
  }

  #connect(actor: string, onKilled: () => void): FakeConnection {
    const { api, clock, latencies } = this.#parts;
    const latency = () => latencies[this.#calls++ % latencies.length] ?? 0;
    const connection = new FakeConnection(api, clock, actor, latency, onKilled);
    this.connections.set(actor, connection);
    return connection;
  }

  #kill(connection: FakeConnection): void {
    connection.kill();
    this.connections.delete(connection.actor);
  }
}
