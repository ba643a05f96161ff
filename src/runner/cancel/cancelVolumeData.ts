import type { VeleroObject } from "../../api/velero.ts";
import { retry } from "../../kube/retry.ts";
import { type RunnerContext, retryingBriefly } from "../context.ts";
import { isMovementOver, movementsOf } from "../follow/dataMovement.ts";

/** Cancels the volume data that a Backup's run waits for, so that the run ends soon. If that fails, it ends later. */
export async function cancelVolumeData(context: RunnerContext, backup: VeleroObject): Promise<void> {
  const orWarn = async <T>(what: object, step: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await step();
    } catch (error) {
      context.signal.throwIfAborted();
      context.logger.warn({ err: error, ...what }, "could not cancel volume data, waiting for it to end");
      return undefined;
    }
  };
  const brief = retryingBriefly(context);
  for (const { resource, object } of (await orWarn({}, () => movementsOf(brief, backup))) ?? []) {
    if (object.spec?.cancel === true || isMovementOver(object)) continue;
    const what = { kind: resource.kind, name: object.metadata.name };
    await orWarn(what, async () => {
      const patch = { spec: { cancel: true } };
      await retry(() => context.client.mergePatch(resource, object.metadata, patch, context), brief);
      context.logger.info(what, "cancelled the movement of volume data");
    });
  }
}
