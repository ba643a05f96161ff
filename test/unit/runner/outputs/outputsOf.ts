import { expect } from "vitest";
import type { OperationType, VeleroOperation } from "../../../../src/api/operation.ts";
import type { VeleroObject } from "../../../../src/api/velero.ts";
import type { DownloadLimits } from "../../../../src/runner/download/downloadRequest.ts";
import { collectOutputs } from "../../../../src/runner/outputs/outputs.ts";
import { type FakeVelero, fakeVelero } from "../fakeVelero.ts";
import { type Files, httpStore } from "../objectStore.ts";
import { backup } from "../veleroObjects.ts";

export const LIMITS: DownloadLimits = {
  urlTimeoutMs: 60_000,
  retryTimeMs: 0,
  timeoutMs: 60_000,
  maxBytes: 100_000,
  maxUnpackedBytes: 1_000_000,
};
export const DEFAULT_LOCATION = { bucket: "velero" };

export function operation(type: OperationType): VeleroOperation {
  return {
    apiVersion: "ops.vworkspace.io/v1alpha1",
    kind: "Operation",
    metadata: { name: "b1", namespace: "org-a", uid: "op-uid", resourceVersion: "1", creationTimestamp: "" },
    spec: { type, engine: "velero", targetRef: { apiVersion: "v1", kind: "ApplicationInstance", name: "shop" } },
  };
}

/** What the runner says of the object when it reads it from this Velero; and what it asked of Velero for that. */
export async function outputsOf(object: VeleroObject, velero: FakeVelero, limits: Partial<DownloadLimits> = {}) {
  const handle = await fakeVelero({ objectStorage: DEFAULT_LOCATION, ...velero });
  const type = object.kind === "Restore" ? "Restore" : "Backup";
  const outputs = await collectOutputs(handle.context, operation(type), object, { ...LIMITS, ...limits });
  expect(JSON.stringify([outputs, handle.lines])).not.toContain("s3cr3t");
  return { outputs, ...handle };
}

/** The same with an object store that holds these files. */
export async function outputsWithFiles(object: VeleroObject, files: Files, velero: FakeVelero = {}, limits = LIMITS) {
  const { url } = await httpStore(files);
  return await outputsOf(object, { storeUrl: url, ...velero }, limits);
}

export const progress = { itemsBackedUp: 412, totalItems: 412 };
export const completed = backup({ phase: "Completed", progress });
