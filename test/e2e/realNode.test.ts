import { afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Operation } from "../../src/api/operation.ts";
import { lacks, ownCluster } from "../cluster/testCluster.ts";
import { installApplication } from "../scenario/application.ts";
import { whileVeleroIsDown } from "../scenario/interruptVelero.ts";
import { backupOperation, readOperation } from "../scenario/operations.ts";
import { annotate, awaitJob, awaitOperation, conditionsOf, messageOf, phaseIs } from "../scenario/outcome.ts";
import { installPlatform, SYSTEM_NAMESPACE, systemKubectl, waitFor } from "../scenario/platform.ts";
import { jobsOf, runnerPodOf } from "../scenario/runners.ts";
import { changeTemplates, type JobTemplate } from "../scenario/templates.ts";

/** What only a real kubelet, a real scheduler and a real network can show of the shipped image and manifests. */

const cluster = await ownCluster();
const TEAM = "org-node";
const RUNNERS = "app.kubernetes.io/component=backup-runner";
const DISPATCHER = "deployment/operation-dispatcher";

const kubectl = (...args: string[]) => systemKubectl(cluster, ...args);
const until = (name: string, condition: string) => awaitOperation(cluster, TEAM, name, condition);
const runningReason = (reason: string) => `jsonpath={.status.conditions[?(@.type=='Running')].reason}=${reason}`;
const apply = (...names: string[]) => cluster.apply(names.map((name) => backupOperation({ namespace: TEAM, name })));

describe.skipIf(lacks(cluster, "real-kubelet"))("on a real node", () => {
  beforeAll(async () => {
    await installPlatform(cluster, () => {});
    await installApplication(cluster, TEAM);
  });

  describe("a Job", () => {
    it("looks as the README says, and its log is there for kubectl logs", async () => {
      await apply("plain");
      const { metadata, status } = await until("plain", phaseIs("Succeeded"));
      const job = status?.runner?.jobName ?? "";
      await waitFor(cluster, [`job/${job}`, "-n", SYSTEM_NAMESPACE], "condition=Complete");
      const [head, row] = (await kubectl("get", "jobs", job)).trim().split("\n");
      expect(head?.split(/\s+/)).toEqual(["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"]);
      expect(row?.split(/\s+/).slice(0, 3)).toEqual([job, "Complete", "1/1"]);
      const log = (await kubectl("logs", `job/${job}`)).trim().split("\n");
      expect(log.map((line) => JSON.parse(line))).toContainEqual(
        expect.objectContaining({ component: "runner", operation: `${TEAM}/${metadata.name}` }),
      );
    });

    it("that its time to live has removed is not made again", async () => {
      const operation = await readOperation(cluster, TEAM, "plain");
      const job = operation.status?.runner?.jobName ?? "";
      await kubectl("patch", "job", job, "--type=merge", "-p", '{"spec":{"ttlSecondsAfterFinished":1}}');
      await waitFor(cluster, [`job/${job}`, "-n", SYSTEM_NAMESPACE], "delete");
      await annotate(cluster, TEAM, "plain", { "example.com/touched": "yes" });
      // The dispatcher has seen all that once it has dealt with what came after it.
      await apply("later");
      await until("later", phaseIs("Succeeded"));
      expect(await jobsOf(cluster, operation)).toEqual([]);
      expect((await readOperation(cluster, TEAM, "plain")).status).toEqual(operation.status);
    });
  });

  describe("a runner", () => {
    let putBack: (() => Promise<void>) | undefined;

    async function change(template: (template: JobTemplate) => void): Promise<void> {
      putBack = await changeTemplates(cluster, template);
    }

    afterEach(async () => {
      await putBack?.();
      putBack = undefined;
    });

    /** Its runner has asked for the backup, which Velero does not begin. */
    async function asking(name: string): Promise<Operation> {
      await apply(name);
      return await until(name, "jsonpath={.status.engineRef.uid}");
    }

    it("that takes more memory than it may is told as killed for that", async () => {
      await change((template) => {
        template.spec.backoffLimit = 0;
        runAtStart(template, "Buffer.alloc(1e9, 1)");
      });
      await apply("hungry");
      const failed = await until("hungry", phaseIs("Failed"));
      expect(conditionsOf(failed)).toMatchObject({ Running: "False/RunnerFailed", Failed: "True/RunnerFailed" });
      expect(messageOf(failed, "Failed")).toMatch(/^OOMKilled: .*exit code 137.*BackoffLimitExceeded/);
    });

    it("that fills its scratch volume is evicted by the kubelet; the next one goes on with the same backup", async () => {
      await change((template) =>
        runAtStart(template, 'import { writeFileSync } from "node:fs"; writeFileSync("/tmp/full", Buffer.alloc(1e8))'),
      );
      const evicted = await whileVeleroIsDown(cluster, async () => {
        await apply("evicted-by-kubelet");
        return await until("evicted-by-kubelet", runningReason("Evicted"));
      });
      expect(messageOf(evicted, "Running")).toContain('volume "tmp" exceeds the limit');
      const { status } = await until("evicted-by-kubelet", phaseIs("Succeeded"));
      expect(status).toMatchObject({ engineRef: evicted.status?.engineRef, runner: { attempt: 1 } });
      expect(status?.runner?.jobUIDs).toHaveLength(1);
    });

    it("whose node is drained ends at SIGTERM and goes on where there is room again", async () => {
      const before = await whileVeleroIsDown(cluster, async () => {
        const asked = await asking("drained");
        const pod = await runnerPodOf(cluster, TEAM, "drained");
        const node = await kubectl("get", "pod", pod, "-o", "jsonpath={.spec.nodeName}");
        const log = kubectl("logs", "--follow", pod);
        const only = ["--pod-selector", RUNNERS, "--ignore-daemonsets", "--delete-emptydir-data", "--force"];
        try {
          await kubectl("drain", node, ...only);
          expect(await log).toContain("SIGTERM");
          await until("drained", runningReason("Unschedulable"));
        } finally {
          await kubectl("uncordon", node);
        }
        return asked;
      });
      await expectOneRun(await until("drained", phaseIs("Succeeded")), before);
    });

    it("past its Job's deadline has failed, and the next one follows the same backup", async () => {
      await change((template) => {
        template.spec.activeDeadlineSeconds = 15;
      });
      const failed = await whileVeleroIsDown(cluster, async () => {
        await asking("late");
        return await until("late", phaseIs("Failed"));
      });
      expect(conditionsOf(failed)).toMatchObject({ Running: "False/RunnerFailed", Failed: "True/RunnerFailed" });
      expect(messageOf(failed, "Failed")).toContain("DeadlineExceeded");
      await annotate(cluster, TEAM, "late", { "ops.vworkspace.io/rerun": "with more time" });
      const { status } = await until("late", phaseIs("Succeeded"));
      expect(status?.engineRef).toEqual(failed.status?.engineRef);
    });
  });

  describe("pods of ours", () => {
    const node = (script: string) => kubectl("exec", DISPATCHER, "--", "/nodejs/bin/node", "-e", script);

    it("are what a restricted namespace lets in, and nothing else is", async () => {
      const level = ["pod-security.kubernetes.io/enforce=restricted", "--overwrite", "--dry-run=server"];
      const labelled = await cluster.kubectl(["label", "namespace", SYSTEM_NAMESPACE, ...level]);
      // The API server warns of every pod there that would not be let in.
      expect(labelled).toMatchObject({ code: 0, stderr: "" });
      const root = { containers: [{ name: "root", image: "example.com/root:1" }] };
      const pod = {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "root", namespace: SYSTEM_NAMESPACE },
        spec: root,
      };
      await expect(cluster.apply([pod])).rejects.toThrow('violates PodSecurity "restricted');
    });

    it("run as nobody, on a file system that they cannot write to", async () => {
      expect(await node("console.log(process.getuid(), process.getgid())")).toBe("65532 65532\n");
      expect(await node('try { fs.writeFileSync("/app/x", "") } catch ({ code }) { console.log(code) }')).toBe(
        "EROFS\n",
      );
    });

    it("find the API server by its Service, by address and by name", async () => {
      const service = ["get", "service", "kubernetes", "-n", "default", "-o", "jsonpath={.spec.clusterIP}"];
      const { stdout: address } = await cluster.kubectl(service);
      expect(await node("console.log(process.env.KUBERNETES_SERVICE_HOST)")).toBe(`${address}\n`);
      const lookUp = 'dns.promises.lookup("kubernetes.default.svc").then(({ address }) => console.log(address))';
      expect(await node(lookUp)).toBe(`${address}\n`);
    });

    it("do their work behind the shipped network policies", async () => {
      await cluster.apply("manifests/components/network-policy");
      await apply("behind-policies");
      await until("behind-policies", phaseIs("Succeeded"));
      await kubectl("delete", "networkpolicies", "--all");
    });
  });

  describe("the dispatcher", () => {
    const names = (prefix: string) => Array.from({ length: 8 }, (_, i) => `${prefix}-${i}`);

    /** Each of them came to one end by one Job. */
    async function expectAllDone(all: readonly string[]): Promise<void> {
      for (const name of all) {
        const operation = await until(name, phaseIs("Succeeded"));
        expect(await jobsOf(cluster, operation), name).toHaveLength(1);
        expect(operation.status?.runner, name).toMatchObject({ attempt: 1, jobUIDs: [expect.any(String)] });
      }
    }

    it("misses nothing that is asked for while it is rolled out", async () => {
      const all = names("rollout");
      await kubectl("rollout", "restart", DISPATCHER);
      for (const name of all) await apply(name);
      await kubectl("rollout", "status", DISPATCHER, "--timeout=180s");
      await expectAllDone(all);
    });

    it("leads alone when there are two, and the other takes over when it is gone", async () => {
      const all = names("two");
      const holder = () => kubectl("get", "lease", "operation-dispatcher", "-o", "jsonpath={.spec.holderIdentity}");
      const strategy = { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } };
      const patch = JSON.stringify({ spec: { replicas: 2, strategy } });
      await kubectl("patch", DISPATCHER, "--type=merge", "-p", patch);
      await kubectl("rollout", "status", DISPATCHER, "--timeout=180s");
      const first = await holder();
      await apply(...all.slice(0, 4));
      await kubectl("delete", "pod", first, "--wait=false");
      await apply(...all.slice(4));
      await expectAllDone(all);
      expect(await holder()).not.toBe(first);
      // A new version comes while the old one leads: neither waits for the other.
      await kubectl("rollout", "restart", DISPATCHER);
      await kubectl("rollout", "status", DISPATCHER, "--timeout=180s");
      const after = names("surge");
      await apply(...after);
      await expectAllDone(after);
    });
  });
});

/** Has Node run a line of JavaScript before the runner itself. */
function runAtStart({ spec }: JobTemplate, script: string): void {
  const value = `--import=data:text/javascript,${encodeURIComponent(script)}`;
  spec.template.spec.containers[0].env.push({ name: "NODE_OPTIONS", value });
}

/** One attempt, one Job, the Backup it began with, and no failure that counts. */
async function expectOneRun(operation: Operation, before: Operation): Promise<void> {
  expect(operation.status).toMatchObject({ engineRef: before.status?.engineRef, runner: { attempt: 1 } });
  expect(operation.status?.runner?.jobUIDs).toHaveLength(1);
  await awaitJob(cluster, operation, "Complete");
  const [job] = await jobsOf(cluster, operation);
  expect(job).not.toMatchObject({ status: { failed: expect.any(Number) } });
}
