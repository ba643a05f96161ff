import { readFileSync } from "node:fs";
import { beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import type { ApplicationInstance } from "../../../src/api/applicationInstance.ts";
import type { Operation } from "../../../src/api/operation.ts";
import { createMetrics } from "../../../src/dispatcher/metrics.ts";
import type { ChangeListener } from "../../../src/kube/cache.ts";
import type { KubeObject } from "../../../src/kube/metadata.ts";
import type { Store } from "../../../src/kube/stores.ts";
import { backupOperation } from "./sampleOperation.ts";

/** A store whose content the test sets. */
class SetStore<T extends KubeObject> implements Store<T> {
  readonly objects = new Map<string, T>();
  readonly #listeners: ChangeListener<T>[] = [];

  get(key: string) {
    return this.objects.get(key);
  }

  values() {
    return this.objects.values();
  }

  onChange(listener: ChangeListener<T>) {
    this.#listeners.push(listener);
  }

  set(object: T) {
    const key = `${object.metadata.namespace}/${object.metadata.name}`;
    const previous = this.objects.get(key);
    this.objects.set(key, object);
    for (const listener of this.#listeners) listener(key, object, previous);
  }
}

const NOW = "2026-11-26T12:00:00Z";
const seconds = (time: string) => Date.parse(time) / 1000;

let operations: SetStore<Operation>;
let targets: SetStore<ApplicationInstance>;
let leading: boolean;

beforeEach(() => {
  operations = new SetStore();
  targets = new SetStore();
  leading = true;
});

function metrics() {
  return createMetrics({
    operations,
    targets,
    locations: new SetStore(),
    templates: { current: {} } as never,
    missingProtection: () => [],
    isLeading: () => leading,
    settingsValid: () => true,
    client: { onAnswer: (listener) => listener("get", 200) },
    caches: { onWatchRestart: (listener) => listener("jobs.batch") },
    queue: { size: { waiting: 3, running: 1 }, oldestDueMs: 1_500 },
  });
}

/** The series of one metric, as `{label="value"} number`. */
async function series(name: string, registry = metrics()): Promise<string[]> {
  const text = await registry.getSingleMetricAsString(`operation_runner_${name}`);
  return text
    .split("\n")
    .filter((line) => line.startsWith("operation_runner_"))
    .map((line) => line.replace(`operation_runner_${name}`, ""));
}

function ended(
  name: string,
  phase: "Succeeded" | "Failed",
  finishedAt: string,
  more: Partial<Operation["metadata"]> = {},
) {
  const operation = backupOperation({ name });
  operations.set({
    ...operation,
    metadata: { ...operation.metadata, ...more, name },
    status: { phase, startedAt: finishedAt, finishedAt },
  });
}

describe("the counters", () => {
  test("are there from the start, so that the first failure of all counts as one", async () => {
    const found = await series("operations_total");
    expect(found).toHaveLength(8);
    expect(found).toContain('{type="Restore",result="failed"} 0');
    expect(await series("operation_duration_seconds")).toContain('_count{type="Backup",result="failed"} 0');
  });

  test("count an end once, and none of a standby", async () => {
    const registry = metrics();
    const pending = backupOperation({ name: "a" });
    operations.set({ ...pending, status: { phase: "Pending" } });
    ended("a", "Failed", NOW);
    ended("a", "Failed", NOW);
    expect(await series("operations_total", registry)).toContain('{type="Backup",result="failed"} 1');
  });
});

describe("the last ends", () => {
  test("are those of the Operations that exist, by namespace and type", async () => {
    ended("old", "Succeeded", "2026-11-20T00:00:00Z");
    ended("new", "Succeeded", "2026-11-25T00:00:00Z");
    ended("bad", "Failed", NOW);
    ended("other", "Failed", NOW, { namespace: "org-b" });
    expect(await series("last_success_timestamp_seconds")).toEqual([
      `{namespace="org-a",type="Backup"} ${seconds("2026-11-25T00:00:00Z")}`,
    ]);
    expect(await series("last_failure_timestamp_seconds")).toEqual([
      `{namespace="org-a",type="Backup"} ${seconds(NOW)}`,
      `{namespace="org-b",type="Backup"} ${seconds(NOW)}`,
    ]);
    leading = false;
    expect(await series("last_failure_timestamp_seconds")).toEqual([]);
  });

  test("go with the namespace", async () => {
    ended("bad", "Failed", NOW);
    const registry = metrics();
    expect(await series("last_failure_timestamp_seconds", registry)).toHaveLength(1);
    operations.objects.clear();
    expect(await series("last_failure_timestamp_seconds", registry)).toEqual([]);
  });
});

describe("the last drills", () => {
  const drilled = (name: string, note: string) => {
    const operation = backupOperation({ name });
    const annotations = { "ops.vworkspace.io/last-drill": note };
    operations.set({ ...operation, metadata: { ...operation.metadata, annotations } });
  };

  test("are told by namespace and result", async () => {
    drilled("a", "2026-11-20T00:00:00.000Z Passed");
    drilled("b", "2026-11-21T00:00:00.000Z Passed");
    drilled("c", "2026-11-22T00:00:00.000Z Failed");
    expect(await series("last_drill_timestamp_seconds")).toEqual([
      `{namespace="org-a",result="passed"} ${seconds("2026-11-21T00:00:00Z")}`,
      `{namespace="org-a",result="failed"} ${seconds("2026-11-22T00:00:00Z")}`,
    ]);
  });

  test.each(["", "yesterday Passed", "2026-11-20T00:00:00Z Splendid", "2026-11-20T00:00:00Z Passed or so"])(
    "are not what somebody else writes there: %j",
    async (note) => {
      drilled("a", note);
      expect(await series("last_drill_timestamp_seconds")).toEqual([]);
    },
  );
});

describe("of several applications in a namespace", () => {
  beforeEach(() => {
    for (const name of ["shop", "blog"]) {
      targets.set({
        apiVersion: "apps.vworkspace.io/v1alpha1",
        kind: "ApplicationInstance",
        metadata: { name, namespace: "org-a", uid: name, resourceVersion: "1", creationTimestamp: NOW },
      });
    }
  });

  const of = (
    target: string,
    name: string,
    phase: "Succeeded" | "Failed",
    finishedAt: string,
    conditions: object[] = [],
  ) => {
    const operation = backupOperation({ name, target });
    operations.set({ ...operation, status: { phase, finishedAt, conditions } } as Operation);
  };
  const inA = (time: string) => [`{namespace="org-a",type="Backup"} ${seconds(time)}`];

  test("one that fails each night is not hidden by another that does not", async () => {
    of("shop", "good-once", "Succeeded", "2026-11-20T01:00:00Z");
    of("shop", "bad-1", "Failed", "2026-11-25T01:00:00Z");
    of("shop", "bad-2", "Failed", "2026-11-26T01:00:00Z");
    of("blog", "good", "Succeeded", "2026-11-26T01:05:00Z");
    expect(await series("failing_since_timestamp_seconds")).toEqual(inA("2026-11-25T01:00:00Z"));
    expect(await series("oldest_backup_timestamp_seconds")).toEqual([
      `{namespace="org-a"} ${seconds("2026-11-20T01:00:00Z")}`,
    ]);
    of("shop", "good-again", "Succeeded", "2026-11-26T02:00:00Z");
    expect(await series("failing_since_timestamp_seconds")).toEqual([]);
  });

  test("one that is degraded shows, until it is backed up whole", async () => {
    const degraded = {
      type: "Degraded",
      status: "True",
      reason: "PartialFailure",
      message: "",
      lastTransitionTime: NOW,
    };
    of("shop", "part", "Succeeded", "2026-11-25T01:00:00Z", [degraded]);
    of("blog", "good", "Succeeded", "2026-11-26T01:05:00Z");
    expect(await series("degraded_since_timestamp_seconds")).toEqual(inA("2026-11-25T01:00:00Z"));
    of("shop", "whole", "Succeeded", "2026-11-26T01:00:00Z");
    expect(await series("degraded_since_timestamp_seconds")).toEqual([]);
  });

  test("one that does not exist any more is nobody's concern", async () => {
    of("gone", "old", "Succeeded", "2026-11-01T01:00:00Z");
    of("gone", "bad", "Failed", "2026-11-02T01:00:00Z");
    expect(await series("failing_since_timestamp_seconds")).toEqual([]);
    expect(await series("oldest_backup_timestamp_seconds")).toEqual([]);
  });
});

test("an application counts as never backed up until a Backup of it has succeeded", async () => {
  const target = (name: string, creationTimestamp: string) =>
    targets.set({
      apiVersion: "apps.vworkspace.io/v1alpha1",
      kind: "ApplicationInstance",
      metadata: { name, namespace: "org-a", uid: name, resourceVersion: "1", creationTimestamp },
    });
  target("shop", "2026-11-01T00:00:00Z");
  target("blog", "2026-11-02T00:00:00Z");
  ended("failed", "Failed", NOW);
  const since = (time: string) => [`{namespace="org-a"} ${seconds(time)}`];
  expect(await series("never_backed_up_since_timestamp_seconds")).toEqual(since("2026-11-01T00:00:00Z"));
  ended("good", "Succeeded", NOW);
  expect(await series("never_backed_up_since_timestamp_seconds")).toEqual(since("2026-11-02T00:00:00Z"));
});

test("requests, watches and the work queue are told", async () => {
  const registry = metrics();
  expect(await series("api_requests_total", registry)).toEqual(['{verb="get",code="200"} 1']);
  expect(await series("watch_restarts_total", registry)).toEqual(['{resource="jobs.batch"} 1']);
  expect(await series("work_queue_oldest_due_seconds", registry)).toEqual([" 1.5"]);
});

const metricsSchema = z.array(z.object({ name: z.string(), labelNames: z.array(z.string()).default([]) }));

test("docs/metrics.md lists every metric, with its labels", () => {
  const documented = Array.from(
    readFileSync("docs/metrics.md", "utf8").matchAll(/^\| `(operation_runner_\w+)` \| ([\w, ]*) \|/gm),
    ([, name, labels]) => `${name}: ${labels?.trim()}`,
  );
  const registered = metricsSchema
    .parse(metrics().getMetricsAsArray())
    .filter(({ name }) => name.startsWith("operation_runner_"))
    .map(({ name, labelNames }) => `${name}: ${labelNames.join(", ")}`);
  expect(documented.toSorted()).toEqual(registered.toSorted());
});
