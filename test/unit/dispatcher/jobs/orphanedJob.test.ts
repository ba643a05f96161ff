import { beforeEach, describe, expect, test } from "vitest";
import type { VeleroOperation } from "../../../../src/api/operation.ts";
import { decideOrphan } from "../../../../src/dispatcher/decide.ts";
import type { Job } from "../../../../src/kube/resources.ts";
import { Cluster } from "../fakeCluster.ts";
import { running, terminated, unschedulable, waiting } from "./podStatuses.ts";

let cluster: Cluster;
let operation: VeleroOperation;

beforeEach(() => {
  cluster = new Cluster();
  operation = cluster.settle(cluster.add({ name: "nightly" }));
});

const _status = () => cluster.status(operation);

describe("the Job of an Operation that is gone", () => {
  const orphan = () => decideOrphan(cluster.job(operation), cluster.world());

  test.each<[string, object | undefined]>([
    ["has no pod", undefined],
    ["cannot be scheduled", unschedulable],
    ["cannot be pulled", waiting("ErrImagePull")],
  ])("is deleted when it %s", (_, pod) => {
    if (pod !== undefined) cluster.pod(cluster.job(operation), pod);
    expect(orphan()).toMatchObject({ kind: "deleteJob", uid: cluster.job(operation).metadata.uid });
  });

  test("is left alone when it has made something of Velero's, though its pod was evicted without a trace", () => {
    cluster.veleroObject(operation, "InProgress");
    expect(orphan()).toBeUndefined();
  });

  test.each<[string, object | undefined, NonNullable<Job["status"]>]>([
    ["runs", running, {}],
    ["ran", terminated({}), {}],
    ["ran, though its pod is gone", undefined, { failed: 1 }],
    ["has succeeded", undefined, { succeeded: 1 }],
    ["has a pod that is not known yet", undefined, { active: 1 }],
  ])("is left alone when it %s", (_, pod, jobStatus) => {
    const job = cluster.job(operation);
    cluster.jobs.set(job.metadata.name, { ...job, status: jobStatus });
    if (pod !== undefined) cluster.pod(job, pod);
    expect(orphan()).toBeUndefined();
  });
});
