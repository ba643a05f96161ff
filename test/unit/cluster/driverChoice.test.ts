import { describe, expect, it } from "vitest";
import { driverChoice } from "../../cluster/driverChoice.ts";

describe("which cluster the e2e tests run on", () => {
  it("is an embedded one unless something else is asked for", () => {
    expect(driverChoice({})).toEqual({ driver: "embedded" });
    expect(driverChoice({ OPERATION_RUNNER_CLUSTER: "kind" })).toEqual({ driver: "kind" });
  });

  it("is never one of the user's own that was not named for it", () => {
    const KUBECONFIG = "/home/me/.kube/config";
    expect(driverChoice({ KUBECONFIG })).toEqual({ driver: "embedded" });
    expect(() => driverChoice({ KUBECONFIG, OPERATION_RUNNER_CLUSTER: "existing" })).toThrow(
      "OPERATION_RUNNER_KUBECONFIG",
    );
    const OPERATION_RUNNER_KUBECONFIG = "/tmp/tests.kubeconfig";
    expect(driverChoice({ KUBECONFIG, OPERATION_RUNNER_KUBECONFIG, OPERATION_RUNNER_CLUSTER: "existing" })).toEqual({
      driver: "existing",
      kubeconfig: OPERATION_RUNNER_KUBECONFIG,
    });
  });

  it("has to be one that there is", () => {
    expect(() => driverChoice({ OPERATION_RUNNER_CLUSTER: "minikube" })).toThrow("embedded or kind or existing");
  });
});
