import { Counter, type Registry } from "prom-client";
import type { KubeClient } from "../kube/client.ts";
import type { WorkQueue } from "../kube/queue.ts";
import { addGauge } from "./gauge.ts";
import type { Caches } from "./state/caches.ts";

export interface RuntimeParts {
  readonly client: Pick<KubeClient, "onAnswer">;
  readonly caches: Pick<Caches, "onWatchRestart">;
  readonly queue: Pick<WorkQueue, "size" | "oldestDueMs">;
}

/** How the API server answers. */
export function countRequests(registry: Registry, { client }: RuntimeParts): void {
  const requests = new Counter({
    name: "operation_runner_api_requests_total",
    help: "Requests to the API server, by verb and by HTTP status, or `none` where no answer came",
    labelNames: ["verb", "code"],
    registers: [registry],
  });
  client.onAnswer((verb, code) => requests.inc({ verb, code: code === undefined ? "none" : String(code) }));
}

/** How often a watch broke off; each has to catch up then. */
export function countWatchRestarts(registry: Registry, { caches }: RuntimeParts): void {
  const restarts = new Counter({
    name: "operation_runner_watch_restarts_total",
    help: "Watches that failed and were begun again, by resource",
    labelNames: ["resource"],
    registers: [registry],
  });
  caches.onWatchRestart((resource) => restarts.inc({ resource }));
}

/** How far the dispatcher is behind with its own work, which is not the line of Operations. */
export function gaugeQueue(registry: Registry, { queue }: RuntimeParts): void {
  const help = "Decisions that the dispatcher has to make: those that are due now or later, and those under way";
  addGauge(registry, "work_queue_depth", help, ["state"], (set) => {
    set({ state: "waiting" }, queue.size.waiting);
    set({ state: "running" }, queue.size.running);
  });
  addGauge(registry, "work_queue_oldest_due_seconds", "For how long the oldest decision has been due", [], (set) =>
    set({}, queue.oldestDueMs / 1000),
  );
}
