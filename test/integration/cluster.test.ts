import { expect, test } from "vitest";
import { testCluster } from "../cluster/testCluster.ts";

const cluster = testCluster();

test("kubectl talks to the test cluster with an administrator's rights", async () => {
  const { code, stdout } = await cluster.kubectl(["auth", "can-i", "*", "*", "--all-namespaces"]);
  expect({ code, stdout: stdout.trim() }).toEqual({ code: 0, stdout: "yes" });
});
