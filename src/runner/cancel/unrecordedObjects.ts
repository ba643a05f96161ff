import { Label } from "../../api/labels.ts";
import { veleroNames } from "../../api/names.ts";
import type { VeleroOperation } from "../../api/operation.ts";
import { endedWithoutResult } from "../../api/status.ts";
import { failedValidationForLocation, isAtWork } from "../../api/velero.ts";
import { retry } from "../../kube/retry.ts";
import type { RunnerContext } from "../context.ts";
import { operationSelector } from "../object/plan.ts";
import { remove } from "../object/remove.ts";
import { veleroResource } from "../object/veleroObject.ts";
import { cancelObject } from "./cancel.ts";

/**
 * Cancels Velero objects that no status records: one run was still creating the object when another run ended the
 * attempt. Nobody else would find them.
 *
 * @param upTo the last attempt that has ended
 * @throws as {@link cancelObject}
 */
export async function removeUnrecordedObjects(
  context: RunnerContext,
  operation: VeleroOperation,
  upTo: number,
): Promise<void> {
  const { status, spec, metadata } = operation;
  // After RunnerFailed, a re-run resumes the object that is still at work, recorded or not.
  if (endedWithoutResult(status)) return;
  const resource = veleroResource(spec.type);
  const selection = { namespace: context.settings.veleroNamespace, labelSelector: operationSelector(metadata.uid) };
  const { items } = await retry(() => context.client.list(resource, selection, context), context);
  const recorded = new Set(
    [status?.engineRef, ...(status?.history ?? []).map(({ engineRef }) => engineRef)].map((ref) => ref?.uid),
  );
  for (const object of items) {
    const attempt = Number(object.metadata.labels?.[Label.attempt] ?? 0);
    if (attempt > upTo || recorded.has(object.metadata.uid)) continue;
    // Labels can be copied onto any object; a runner gives its objects only the attempt's own names.
    if (!veleroNames(metadata, attempt).includes(object.metadata.name)) continue;
    // The attempt would have tried again under this name; now it is over.
    if (failedValidationForLocation(object)) await remove(context, resource, object, false);
    if (!isAtWork(object)) continue;
    context.logger.info(
      { veleroObject: object.metadata.name },
      "cancelling a Velero object whose attempt was over before the object was recorded",
    );
    await cancelObject(context, spec.type, object);
  }
}
