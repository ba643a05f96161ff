import { pino } from "pino";
import { type Operation, operations } from "../../src/api/operation.ts";
import { connect, type KubeClient, type ObjectName } from "../../src/kube/client.ts";
import { systemClock } from "../../src/kube/clock.ts";
import { awaitCondition } from "../../src/kube/wait.ts";
import type { Cluster } from "../cluster/cluster.ts";

/** For tests that do things by the hundred: what kubectl does, without starting a process for each. */

/** Generous: a slow machine has all the time it needs. In milliseconds. */
const PATIENCE_MS = 180_000;

/** The cluster's administrator. */
export function adminClient(cluster: Cluster): KubeClient {
  return connect({ KUBECONFIG: cluster.kubeconfig }, { component: "test", version: "0" });
}

/** How long to wait, and for what else a watch asks. */
export function patience() {
  return { signal: AbortSignal.timeout(PATIENCE_MS), logger: pino({ enabled: false }), clock: systemClock };
}

/** Waits until an Operation meets a condition. Throws when it takes too long. */
export async function operationThat(
  client: KubeClient,
  name: ObjectName,
  meets: (operation: Operation) => boolean,
): Promise<Operation> {
  const met = (operation?: Operation) => operation !== undefined && meets(operation);
  const operation = await awaitCondition(client, operations, name, met, patience());
  if (operation === undefined) throw new Error(`no Operation ${name.namespace}/${name.name}`);
  return operation;
}
