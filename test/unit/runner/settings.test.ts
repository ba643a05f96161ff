import { expect, test } from "vitest";
import { readSettings } from "../../../src/runner/settings.ts";

test("what the Job template leaves empty counts as not set", () => {
  const env = { OPERATION_NAMESPACE: "org-a", OPERATION_NAME: "b1", OPERATION_UID: "", CLUSTER_ID: "", JOB_UID: "" };
  expect(readSettings(env)).toEqual({
    operation: { namespace: "org-a", name: "b1", uid: undefined },
    job: { name: undefined, uid: undefined, namespace: "vworkspace-system" },
    veleroNamespace: "velero",
    requestWindowMs: 900_000,
    maxRunTime: undefined,
    clusterId: undefined,
    restoreExcludedResources: ["resourcequotas", "limitranges", "endpoints", "endpointslices.discovery.k8s.io"],
    hideVeleroMessages: false,
    terminationMessagePath: "/dev/termination-log",
  });
});

test("every variable that is missing is named", () => {
  expect(() => readSettings({ OPERATION_NAMESPACE: "" })).toThrow(
    "OPERATION_NAMESPACE must be set to the namespace of the Operation; OPERATION_NAME must be set to the name of the Operation",
  );
});

const OPERATION = { OPERATION_NAMESPACE: "org-a", OPERATION_NAME: "b1" };

test("that nothing is left out of a Restore is something else than that nothing is said of it", () => {
  expect(readSettings({ ...OPERATION, RESTORE_EXCLUDED_RESOURCES: "[]" }).restoreExcludedResources).toEqual([]);
});

test("a limit is a duration, and that none is set is no limit", () => {
  expect(readSettings({ ...OPERATION, MAX_RUN_TIME: "4h" }).maxRunTime).toBe("4h");
  expect(readSettings({ ...OPERATION, MAX_RUN_TIME: "" }).maxRunTime).toBeUndefined();
  expect(() => readSettings({ ...OPERATION, MAX_RUN_TIME: "4 hours" })).toThrow(
    "MAX_RUN_TIME must be a Go duration greater than 0, such as 4h",
  );
});

test("a list that is none is told", () => {
  expect(() => readSettings({ ...OPERATION, RESTORE_EXCLUDED_RESOURCES: "endpoints" })).toThrow(
    'RESTORE_EXCLUDED_RESOURCES must be a list such as ["limitranges"',
  );
});
