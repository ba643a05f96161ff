import { createServer } from "node:net";
import type { V1Pod } from "@kubernetes/client-node";
import { probePort } from "./probe.ts";

/** Below the range from which systems take the local ports of outgoing connections: none of those can be in the way. */
const FIRST = 20_000;
const COUNT = 12_000;

/** Hands out loopback ports that nobody listens on, none twice: a pod may take its time before it listens. */
export function createPorts(): () => Promise<number> {
  const taken = new Set<number>();
  return async () => {
    while (taken.size < COUNT) {
      const port = FIRST + Math.floor(Math.random() * COUNT);
      if (taken.has(port)) continue;
      taken.add(port);
      if (await isFree(port)) return port;
    }
    throw new Error("no free port is left for another pod");
  };
}

/** The container ports that a pod's containers declare or are probed on, each once. */
export function containerPorts({ spec }: V1Pod): number[] {
  const all = (spec?.containers ?? []).flatMap(({ ports = [], readinessProbe }) => [
    ...ports.map(({ containerPort }) => containerPort),
    probePort(readinessProbe),
  ]);
  return [...new Set(all.filter((port) => typeof port === "number"))];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
