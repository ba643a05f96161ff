import { DEFAULT_PLATFORM_EXCLUSIONS, platformExclusions } from "../../../src/api/platformExclusions.ts";
import { VELERO_NAMESPACE } from "../../scenario/platform.ts";

export type Json = Record<string, unknown>;

const owned = {
  "app.vworkspace.io/managed-by": "vworkspace-operator",
  "ops.vworkspace.io/operation": "0b0c6b4e-3f0c-4c1e-9a51-2f6f6a3f2a11",
  "ops.vworkspace.io/attempt": "1",
};

/** An object of Velero's as a runner makes them, labels included, unless `metadata` says else. */
export function velero(kind: string, spec: Json, metadata: Json = {}): Json {
  const named = { name: "stolen", namespace: VELERO_NAMESPACE, labels: owned, ...metadata };
  return { apiVersion: "velero.io/v1", kind, metadata: named, spec };
}

/** The spec of a Restore that a runner may create. */
export const restoreSpec: Json = {
  backupName: "nightly",
  includedNamespaces: ["org-a"],
  includedResources: ["*"],
  excludedResources: platformExclusions(DEFAULT_PLATFORM_EXCLUSIONS),
};
