import { describe, expect, test } from "vitest";
import { Reason, veleroReason } from "../../../src/api/reasons.ts";
import { ACTORS, remedyOf } from "../../../src/api/remedies.ts";

const velero = (["Backup", "Restore"] as const).flatMap((type) =>
  (["InProgress", "Succeeded", "Completed", "PartiallyFailed", "Failed", "ValidationFailed"] as const).map((what) =>
    veleroReason(type, what),
  ),
);

describe("every reason of an Operation", () => {
  test.each([...Object.values(Reason), ...velero])(
    "%s has a meaning, somebody who acts, and what they do",
    (reason) => {
      const remedy = remedyOf(reason);
      expect(remedy?.meaning).toMatch(/^[A-Z].*\.$/);
      expect(remedy?.todo).toMatch(/^[a-z].*[^.]$/);
      expect(Object.keys(ACTORS)).toContain(remedy?.who);
    },
  );

  // What Kubernetes says of a Job that does not come to work: docs/contract.md#pod-trouble.
  test.each([
    "Unschedulable",
    "ImagePullBackOff",
    "FailedMount",
    "FailedAttachVolume",
    "FailedCreatePodSandBox",
    "FailedCreate",
    "OOMKilled",
    "Evicted",
    "NodeNotReady",
    "OutOfcpu",
    "JobSuspended",
    "Terminating",
    "ContainerStillRuns",
    "StatusTooLarge",
    "VeleroIdle",
  ])("Kubernetes' %s as well", (reason) => {
    expect(remedyOf(reason)).toMatchObject({ meaning: expect.any(String), todo: expect.any(String) });
  });
});

test("a reason that nobody here has given has none", () => {
  expect(remedyOf("Whatever")).toBeUndefined();
  expect(remedyOf("constructor")).toBeUndefined();
});
