import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Label } from "../../src/api/labels.ts";
import type { Operation } from "../../src/api/operation.ts";
import { testCluster } from "../cluster/testCluster.ts";
import type { When } from "../faults/apiProxy.ts";
import { bundledProgram, type Identity, type Program, type Run } from "../faults/program.ts";
import { holdJobs, identityOf, jobOf, releaseJobs, runnerEnv } from "../scenario/byHand.ts";
import { backupOperation, listObjects, readOperation, restoreOperation } from "../scenario/operations.ts";
import { installPlatform, SYSTEM_NAMESPACE, VELERO_NAMESPACE, waitFor } from "../scenario/platform.ts";

/**
 * Kills the runner, then the dispatcher, before and after each of their API calls in turn, against real Velero. Whatever
 * the point: the Operation ends once, and Velero was asked for one object.
 */

const cluster = testCluster();
const SOURCE = "crash-source";
/** As many Operations at once as one Velero keeps busy. */
const LANES = 4;
/** More calls than this and the program is talking too much. */
const MOST_CALLS = 60;

let program: Program;

beforeAll(async () => {
  await installPlatform(cluster, () => {});
  program = await bundledProgram();
  await namespaceWithApplication(SOURCE);
  await cluster.apply([backupOperation({ namespace: SOURCE, name: "crash-source" })]);
  await waitFor(cluster, ["operation/crash-source", "-n", SOURCE], "jsonpath={.status.phase}=Succeeded");
});

afterAll(async () => program?.remove());

interface Kind {
  readonly plural: string;
  request(namespace: string, name: string): object;
}

const kinds: Record<string, Kind> = {
  Backup: {
    plural: "backups.velero.io",
    request: (namespace, name) => backupOperation({ namespace, name }),
  },
  Restore: {
    plural: "restores.velero.io",
    request: (namespace, name) =>
      restoreOperation({
        namespace,
        name,
        parameters: { backupName: "crash-source", namespaceMapping: { [SOURCE]: namespace } },
      }),
  },
};

describe.each(Object.entries(kinds))("a %s", (type, kind) => {
  describe("whose runner is killed", () => {
    beforeAll(() => holdJobs(cluster));
    afterAll(() => releaseJobs(cluster));

    it("at any of its API calls ends once, with one Velero object", { timeout: 900_000 }, async () => {
      const identity = await identityOf(cluster, `operation-${type.toLowerCase()}-runner`);
      const points = await atEveryCall(async (call, when) => {
        const namespace = `crash-${type.toLowerCase()}-runner-${call}-${when}`;
        await namespaceWithApplication(namespace);
        await cluster.apply([kind.request(namespace, namespace)]);
        const job = await jobOf(cluster, namespace, namespace);
        const env = runnerEnv(job, namespace, namespace);
        const killed = await program.run(["run"], identity, env, { fault: { call, when } });
        if (!killed.struck) expect(killed, killed.output).toMatchObject({ code: 0 });
        // As the Job controller would: another pod, until one of them says how it ended.
        if (killed.struck) {
          const again = await program.run(["run"], identity, env);
          expect(again, again.output).toMatchObject({ code: 0 });
        }
        return { ended: killed, operation: await readOperation(cluster, namespace, namespace) };
      });
      await expectOneOutcomeEach(kind, points);
    });
  });

  describe("whose dispatcher is killed", () => {
    beforeAll(() => scaleDispatcher(0));
    afterAll(() => scaleDispatcher(1));

    it("at any of its API calls ends once, with one Velero object", { timeout: 900_000 }, async () => {
      const identity = await identityOf(cluster, "operation-dispatcher");
      const points = await atEveryCall(async (call, when) => {
        const namespace = `crash-${type.toLowerCase()}-dispatcher-${call}-${when}`;
        await namespaceWithApplication(namespace);
        await cluster.apply([kind.request(namespace, namespace)]);
        const over = waitFor(
          cluster,
          [`operation/${namespace}`, "-n", namespace],
          "jsonpath={.status.phase}=Succeeded",
        );
        const killed = await runDispatcher(identity, over, { call, when });
        if (killed.struck) await runDispatcher(identity, over);
        await over;
        return { ended: killed, operation: await readOperation(cluster, namespace, namespace) };
      }, 1);
      await expectOneOutcomeEach(kind, points);
    });
  });
});

interface Point {
  readonly ended: Run;
  readonly operation: Operation;
}

/** Runs a scenario for call 1, 2, 3, ... before and after, a few at a time, until the program ends before that call. */
async function atEveryCall(scenario: (call: number, when: When) => Promise<Point>, lanes = LANES): Promise<Point[]> {
  const points: Point[] = [];
  let next = 0;
  let last = Number.POSITIVE_INFINITY;
  const lane = async () => {
    while (next < MOST_CALLS * 2) {
      const [call, when] = [Math.floor(next / 2) + 1, next % 2 === 0 ? "before" : "after"] as const;
      next += 1;
      if (call > last) return;
      const point = await scenario(call, when);
      points.push(point);
      if (!point.ended.struck) last = Math.min(last, call);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  expect(points.some(({ ended }) => !ended.struck)).toBe(true);
  const struck = points.filter(({ ended }) => ended.struck).length;
  console.log(
    `killed at ${struck} points: ${points
      .find(({ ended }) => !ended.struck)
      ?.ended.calls.map(({ method, path }) => `${method} ${path.split("?")[0]}`)
      .join(", ")}`,
  );
  // Fewer than that and the harness struck nothing worth striking.
  expect(struck).toBeGreaterThan(10);
  return points;
}

async function expectOneOutcomeEach(kind: Kind, points: readonly Point[]): Promise<void> {
  const objects = await listObjects(cluster, [
    kind.plural,
    "-n",
    VELERO_NAMESPACE,
    "-l",
    Label.operation,
    "--show-managed-fields",
  ]);
  const audit = await cluster.audit();
  for (const { operation } of points) {
    const { name, namespace, uid } = operation.metadata;
    expect(operation.status, name).toMatchObject({ phase: "Succeeded", runner: { attempt: 1 } });
    const own = objects.filter((object) => JSON.stringify(object).includes(`"${Label.operation}":"${uid}"`));
    expect(
      own.map((object) => object.metadata.uid),
      name,
    ).toEqual([operation.status?.engineRef?.uid]);
    const endings = audit.filter(
      (event) =>
        event.objectRef?.resource === "operations" &&
        event.objectRef.subresource === "status" &&
        event.objectRef.namespace === namespace &&
        event.responseStatus?.code === 200 &&
        JSON.stringify(event.requestObject).includes('"finishedAt"'),
    );
    expect(endings.length, `${name}: terminal status writes`).toBe(1);
  }
  const writes = audit.filter(
    (event) =>
      `${event.objectRef?.resource}.${event.objectRef?.apiGroup}` === kind.plural &&
      event.user.username.includes(`:${SYSTEM_NAMESPACE}:`) &&
      !["get", "list", "watch"].includes(event.verb),
  );
  expect(writes.filter(({ verb }) => verb !== "create")).toEqual([]);
  const created = writes
    .filter(({ responseStatus }) => responseStatus?.code === 201)
    .map(
      ({ objectRef, requestObject }) =>
        objectRef?.name || (requestObject as { metadata: { name: string } }).metadata.name,
    );
  expect(created.toSorted()).toEqual([...new Set(created)].toSorted());
}

async function runDispatcher(
  identity: Identity,
  over: Promise<unknown>,
  fault?: { call: number; when: When },
): Promise<Run> {
  const env = {
    POD_NAME: "dispatcher-by-hand",
    POD_NAMESPACE: SYSTEM_NAMESPACE,
    OPERATION_RUNNER_LISTEN: "127.0.0.1:0",
  };
  return await program.run(["dispatcher"], identity, env, { fault, until: over });
}

async function scaleDispatcher(replicas: number): Promise<void> {
  await cluster.kubectl(["scale", "deployment/operation-dispatcher", "-n", SYSTEM_NAMESPACE, `--replicas=${replicas}`]);
  if (replicas > 0) {
    await waitFor(cluster, ["deployment/operation-dispatcher", "-n", SYSTEM_NAMESPACE], "condition=Available");
    return;
  }
  const pods = ["pods", "-n", SYSTEM_NAMESPACE, "-l", "app.kubernetes.io/component=dispatcher"];
  await waitFor(cluster, pods, "delete");
}

async function namespaceWithApplication(namespace: string): Promise<void> {
  await cluster.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings", namespace }, data: { theme: "dark" } },
    {
      apiVersion: "apps.vworkspace.io/v1alpha1",
      kind: "ApplicationInstance",
      metadata: { name: "shop", namespace },
      spec: { appRef: { catalogId: "shop" } },
    },
  ]);
}
