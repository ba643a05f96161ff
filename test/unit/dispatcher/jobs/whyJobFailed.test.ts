import { beforeEach, describe, expect, test } from "vitest";
import type { VeleroOperation } from "../../../../src/api/operation.ts";
import { Cluster, messageOf } from "../fakeCluster.ts";
import { terminated, waiting } from "./podStatuses.ts";

let cluster: Cluster;
let operation: VeleroOperation;

beforeEach(() => {
  cluster = new Cluster();
  operation = cluster.settle(cluster.add({ name: "nightly" }));
});

const status = () => cluster.status(operation);

describe("when the Job gave up, the message says why", () => {
  const told = (pod: object, change = {}) => {
    cluster.pod(cluster.job(operation), pod);
    cluster.endJob(cluster.job(operation), "Failed", change);
    cluster.settle(operation);
    return messageOf(status(), "Failed") ?? "";
  };

  test.each<[string, object, RegExp]>([
    [
      "the runner's summary",
      { exitCode: 2, reason: "Error", message: '{"message":"no rights"}' },
      /^Error: no rights \(exit code 2\); Job /,
    ],
    [
      "its last log line",
      { message: '{"msg":"a"}\n{"level":60,"err":{"message":"no cluster"},"msg":"cannot start"}\n' },
      /^Error: cannot start: no cluster \(exit code 1\); Job /,
    ],
    [
      "what Node says when it crashes",
      { message: "\nTypeError: x is not a function\n    at f (a.js:1:2)\n\nNode.js v24.21.0\n" },
      /^Error: TypeError: x is not a function \(exit/,
    ],
    ["the kernel", { exitCode: 137, reason: "OOMKilled" }, /^OOMKilled: exit code 137; Job /],
    [
      "the kernel, and what the runner did last",
      { exitCode: 137, reason: "OOMKilled", message: '{"msg":"started"}\n{"level":30,"msg":"asked Velero"}\n' },
      /^OOMKilled: asked Velero \(exit code 137\); Job /,
    ],
  ])("%s", (_, state, message) => {
    expect(told(terminated(state))).toMatch(message);
  });

  test("in one line of a KiB, whatever the pod left behind", () => {
    const message = told(terminated({ message: `a\u0000b\u001b[31m\r\n\u2028${"ö😀".repeat(2000)}` }));
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(1024);
    expect(message).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\ufffd\u2028]/u);
  });

  test("by the pod that ended last", () => {
    const job = cluster.job(operation);
    cluster.pod(job, terminated({ message: "second" }), { createdAt: "2026-11-22T11:59:02Z" });
    cluster.pod(job, terminated({ message: "first" }), { createdAt: "2026-11-22T11:59:01Z" });
    cluster.pod(job, {}, { createdAt: "2026-11-22T11:59:03Z" });
    cluster.endJob(job, "Failed");
    cluster.settle(operation);
    expect(messageOf(status(), "Failed")).toMatch(/^Error: second/);
  });

  test("also when nothing is left of the pod that could not start", () => {
    cluster.pod(cluster.job(operation), waiting("ImagePullBackOff", "no such image"));
    cluster.settle(operation);
    cluster.pods.length = 0;
    cluster.endJob(cluster.job(operation), "Failed", { reason: "DeadlineExceeded" });
    cluster.settle(operation);
    expect(messageOf(status(), "Failed")).toMatch(/^ImagePullBackOff: no such image; Job .* \(DeadlineExceeded\)$/);
  });

  test("also when a deadline ended a pod that could not start", () => {
    expect(
      told(waiting("ImagePullBackOff", "no such image"), { reason: "DeadlineExceeded", message: "too long" }),
    ).toMatch(/^ImagePullBackOff: no such image; Job nightly-\w+ gave up \(DeadlineExceeded: too long\)$/);
  });
});
