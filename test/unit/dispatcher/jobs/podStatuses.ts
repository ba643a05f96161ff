/** Statuses of a runner's pod as Kubernetes writes them. */

export const running = { phase: "Running", containerStatuses: [{ name: "runner", state: { running: {} } }] };

export const creating = {
  phase: "Pending",
  startTime: "2026-11-22T12:00:00Z",
  containerStatuses: [{ name: "runner", state: { waiting: { reason: "ContainerCreating" } } }],
};

export const unschedulable = withCondition("PodScheduled", "Unschedulable", "0/3 nodes");

export function waiting(reason: string, message?: string) {
  return { phase: "Pending", containerStatuses: [{ name: "runner", state: { waiting: { reason, message } } }] };
}

export function terminated(change: object) {
  return {
    phase: "Failed",
    containerStatuses: [{ name: "runner", state: { terminated: { exitCode: 1, ...change } } }],
  };
}

export function withCondition(type: string, reason: string, message: string, status = "False") {
  return { phase: "Pending", conditions: [{ type, status, reason, message }] };
}
