import { operations } from "../../src/api/operation.ts";
import type { KubeClient } from "../../src/kube/client.ts";
import { type Progress, withHeartbeat } from "../cluster/progress.ts";
import { backupOperation } from "../scenario/operations.ts";
import { succeeded } from "./fakeRunners.ts";
import { inParallel } from "./pool.ts";

/** As many as keep the API server of a small machine at work. */
const AT_ONCE = 16;

/**
 * Creates that many Operations, in turn in each of the namespaces.
 *
 * @param state "finished": as if they had been carried out
 * @returns how many objects the API server created in a second
 */
export async function seedOperations(
  client: KubeClient,
  teams: readonly string[],
  count: number,
  state: "waiting" | "finished",
  progress: Progress,
): Promise<number> {
  let done = 0;
  const began = performance.now();
  const describe = (elapsed: string) => `${done} of ${count} ${state} Operations created after ${elapsed}`;
  const numbers = Array.from({ length: count }, (_, at) => at);
  await withHeartbeat(progress, describe, () =>
    inParallel(numbers, AT_ONCE, async (at) => {
      const namespace = teams[at % teams.length] ?? "";
      const operation = await client.create(operations, backupOperation({ namespace, name: `${state}-${at}` }));
      if (state === "finished") await client.replaceStatus(operations, { ...operation, status: succeeded(operation) });
      done += 1;
    }),
  );
  return count / ((performance.now() - began) / 1000);
}
