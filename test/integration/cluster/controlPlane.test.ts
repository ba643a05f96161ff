import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, inject, test, vi } from "vitest";
import { connectCluster } from "../../cluster/startCluster.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { temporaryFolder } from "../../temporaryFolder.ts";

const cluster = testCluster();
const folder = temporaryFolder();
const patience = { timeout: 60_000 };

/** The output of a kubectl call that has to succeed. */
async function kubectl(...args: string[]): Promise<string> {
  const result = await cluster.kubectl(args);
  expect(result, `kubectl ${args.join(" ")}`).toMatchObject({ code: 0 });
  return result.stdout.trim();
}

test("its kubeconfig is an administrator's", async () => {
  expect(await kubectl("auth", "can-i", "*", "*", "--all-namespaces")).toBe("yes");
});

test("a user is who the certificate says, with the rights that RBAC gives and no others", async () => {
  const jane = await cluster.user("jane", ["developers"]);
  const asJane = (...args: string[]) => cluster.kubectl(args, { as: jane });
  expect(
    (await asJane("auth", "whoami", "-o", "jsonpath={.status.userInfo.username} {.status.userInfo.groups}")).stdout,
  ).toBe('jane ["developers","system:authenticated"]');
  expect((await asJane("get", "configmaps", "-n", "default")).stderr).toContain('User "jane" cannot list resource');
  await cluster.apply([
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: { name: "developers-view", namespace: "default" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" },
      subjects: [{ kind: "Group", name: "developers" }],
    },
  ]);
  expect((await asJane("get", "configmaps", "-n", "default")).code).toBe(0);
});

test("controllers work: a Job gets its pod with a token volume, and its namespace can be deleted", async () => {
  await kubectl("create", "namespace", "controllers");
  await vi.waitFor(() => kubectl("get", "serviceaccount", "default", "-n", "controllers"), patience);
  await kubectl("create", "job", "hello", "-n", "controllers", "--image=nothing");
  await vi.waitFor(async () => {
    const volumes = "jsonpath={.items[0].spec.volumes[*].projected.sources[*].serviceAccountToken.path}";
    expect(await kubectl("get", "pods", "-n", "controllers", "-l", "job-name=hello", "-o", volumes)).toBe("token");
  }, patience);
  await kubectl("delete", "namespace", "controllers", "--timeout=60s");
});

test("a ServiceAccount's token is signed by a key the API server trusts", async () => {
  const token = await kubectl("create", "token", "default", "-n", "default");
  const review = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } };
  const answer = await cluster.kubectl(["create", "-f", "-", "-o", "jsonpath={.status.user.username}"], {
    input: JSON.stringify(review),
  });
  expect(answer.stdout).toBe("system:serviceaccount:default:default");
});

test("the audit log tells who created what, with its body, once the answer is there", async () => {
  const carol = await cluster.user("carol", ["system:masters"]);
  const created = await cluster.kubectl(["create", "job", "audited", "-n", "default", "--image=nothing"], {
    as: carol,
  });
  expect(created.code).toBe(0);
  const creates = (await cluster.audit()).filter(({ verb, user }) => verb === "create" && user.username === "carol");
  expect(creates).toMatchObject([
    { responseStatus: { code: 201 }, requestObject: { kind: "Job", metadata: { name: "audited" } } },
  ]);
  await kubectl("delete", "job", "audited", "-n", "default");
});

test("the user's own kubeconfig and kubectl settings are neither used nor written", async () => {
  const home = folder();
  await mkdir(path.join(home, ".kube"));
  await writeFile(path.join(home, ".kube", "config"), "not a kubeconfig");
  await writeFile(path.join(home, ".kube", "kuberc"), "not a kuberc");
  const env = { ...process.env, HOME: home, KUBECONFIG: path.join(home, ".kube", "config") };
  const own = connectCluster(inject("cluster"), env);
  expect(await own.kubectl(["get", "namespace", "default", "-o", "name"])).toEqual({
    code: 0,
    stdout: "namespace/default\n",
    stderr: "",
  });
  expect((await readdir(home, { recursive: true })).sort()).toEqual([".kube", ".kube/config", ".kube/kuberc"]);
});

test("credentials are for the cluster's owner only", async () => {
  const files = [cluster.kubeconfig, await cluster.user("dave")];
  for (const file of files) expect((await stat(file)).mode & 0o077).toBe(0);
});
