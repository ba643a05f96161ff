import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { applicationInstances } from "../../src/api/applicationInstance.ts";
import { Label } from "../../src/api/labels.ts";
import { isTerminal, type Operation, operations } from "../../src/api/operation.ts";
import type { Manifest } from "../../src/kube/metadata.ts";
import { configMaps, namespaces } from "../../src/kube/resources.ts";
import { lacks, ownCluster } from "../cluster/testCluster.ts";
import type { When } from "../faults/apiProxy.ts";
import { bundledProgram, type Identity, type Program, type Run } from "../faults/program.ts";
import { holdJobs, identityOf, jobOf, runnerEnv } from "../scenario/byHand.ts";
import { adminClient, operationThat } from "../scenario/client.ts";
import { backupOperation, listObjects, restoreOperation } from "../scenario/operations.ts";
import { installPlatform, SYSTEM_NAMESPACE, VELERO_NAMESPACE, waitFor } from "../scenario/platform.ts";

/**
 * Kills the runner, then the dispatcher, before each of their API calls in turn and after each that changes something,
 * against real Velero. Whatever the point: the Operation ends once, and Velero was asked for one object.
 */

const cluster = await ownCluster();
const client = adminClient(cluster);
const SOURCE = "crash-source";
/** As many Operations at once as one Velero keeps busy. */
const LANES = 4;
/** A test is a whole series of runs. */
const PATIENT = { timeout: 20 * 60_000 };
/** More calls than this and the program is talking too much. */
const MOST_CALLS = 60;

let program: Program;

beforeAll(async () => {
  await installPlatform(cluster, () => {});
  program = await bundledProgram();
  await ask(BACKUP, SOURCE);
  await operationThat(client, { namespace: SOURCE, name: SOURCE }, ({ status }) => status?.phase === "Succeeded");
});

afterAll(async () => program?.remove());

interface Kind {
  readonly plural: string;
  /** The Operation in a namespace of its own, by whose name it goes. */
  request(namespace: string): Manifest;
}

const BACKUP: Kind = {
  plural: "backups.velero.io",
  request: (namespace) => backupOperation({ namespace, name: namespace }),
};
const RESTORE: Kind = {
  plural: "restores.velero.io",
  request: (namespace) =>
    restoreOperation({
      namespace,
      name: namespace,
      parameters: { backupName: SOURCE, namespaceMapping: { [SOURCE]: namespace } },
    }),
};
const kinds: Record<string, Kind> = { Backup: BACKUP, Restore: RESTORE };

describe.skipIf(lacks(cluster, "audit"))("a runner that is killed", PATIENT, () => {
  beforeAll(() => holdJobs(cluster));

  it.each(Object.entries(kinds))(
    "at any of its API calls: its %s ends once, with one Velero object",
    async (type, kind) => {
      const runner = `${type.toLowerCase()}-runner`;
      const identity = await identityOf(cluster, `operation-${runner}`);
      const points = await atEveryCall(LANES, async (call, when) => {
        const namespace = `crash-${runner}-${call}-${when}`;
        await ask(kind, namespace);
        const env = runnerEnv(await jobOf(client, namespace, namespace), namespace, namespace);
        const first = await program.run(["run"], identity, env, { fault: { call, when } });
        // As the Job controller would: another pod, until one of them says how it ended.
        const last = first.struck ? await program.run(["run"], identity, env) : first;
        expect(last, last.output).toMatchObject({ code: 0 });
        return { call, run: first, operations: [await client.get(operations, { namespace, name: namespace })] };
      });
      await expectOneOutcomeEach(points);
    },
  );
});

describe.skipIf(lacks(cluster, "audit"))("a dispatcher that is killed", PATIENT, () => {
  beforeAll(() => scaleDispatcher(0));
  afterAll(() => scaleDispatcher(1));

  it("at any of its API calls: a Backup and a Restore end once, with one Velero object each", async () => {
    const identity = await identityOf(cluster, "operation-dispatcher");
    const points = await atEveryCall(1, async (call, when) => {
      const pair = Object.entries(kinds).map(([type, kind]) => ({
        kind,
        namespace: `crash-${type.toLowerCase()}-dispatcher-${call}-${when}`,
      }));
      for (const { kind, namespace } of pair) await ask(kind, namespace);
      const over = Promise.all(
        pair.map(({ namespace }) =>
          operationThat(client, { namespace, name: namespace }, ({ status }) => isTerminal(status?.phase)),
        ),
      );
      const first = await runDispatcher(identity, over, { call, when });
      if (first.struck) await runDispatcher(identity, over);
      return { call, run: first, operations: await over };
    });
    await expectOneOutcomeEach(points);
  });
});

interface Point {
  /** Which call was to be struck. */
  readonly call: number;
  /** The run that was to be struck. */
  readonly run: Run;
  readonly operations: readonly Operation[];
}

/**
 * Runs a scenario for call 1, 2, 3, ..., some at a time, until the program ends before that call. Each is struck before the
 * API server hears of it, and again after it is done if it changes something: a read leaves the world as it was.
 */
async function atEveryCall(
  lanes: number,
  scenario: (call: number, when: When) => Promise<Point>,
): Promise<readonly Point[]> {
  const points: Point[] = [];
  let calls = 0;
  let reached = true;
  const lane = async () => {
    while (reached && calls < MOST_CALLS) {
      const call = ++calls;
      const before = await scenario(call, "before");
      points.push(before);
      if (!before.run.struck) reached = false;
      else if (before.run.calls[call - 1]?.method !== "GET") points.push(await scenario(call, "after"));
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  const [whole] = points.filter(({ run }) => !run.struck).sort((a, b) => a.call - b.call);
  if (whole === undefined) throw new Error(`the program made more than ${MOST_CALLS} API calls`);
  // One run makes a call more than another: this one came to its end, and each of its calls was struck in another run.
  const struck = new Set(points.filter(({ run }) => run.struck).map(({ call }) => call));
  expect(whole.run.calls.filter((_, i) => !struck.has(i + 1))).toEqual([]);
  return points;
}

async function expectOneOutcomeEach(points: readonly Point[]): Promise<void> {
  const objects = await listObjects(cluster, [
    Object.values(kinds)
      .map(({ plural }) => plural)
      .join(","),
    "-n",
    VELERO_NAMESPACE,
  ]);
  const audit = await cluster.audit();
  const written = audit.filter(({ verb }) => !["get", "list", "watch"].includes(verb));
  for (const { metadata, status } of points.flatMap(({ operations }) => operations)) {
    const { name, namespace, uid } = metadata;
    expect(status, name).toMatchObject({ phase: "Succeeded", runner: { attempt: 1 } });
    expect(status?.history, name).toBeUndefined();
    const own = objects.filter((object) => object.metadata.labels?.[Label.operation] === uid);
    expect(
      own.map((object) => object.metadata.uid),
      name,
    ).toEqual([status?.engineRef?.uid]);
    const endings = written.filter(
      ({ objectRef, responseStatus, requestObject }) =>
        objectRef?.resource === "operations" &&
        objectRef.subresource === "status" &&
        objectRef.namespace === namespace &&
        responseStatus?.code === 200 &&
        JSON.stringify(requestObject).includes('"finishedAt"'),
    );
    expect(endings.length, `${name}: writes of a terminal status`).toBe(1);
  }
  const plurals = Object.values(kinds).map(({ plural }) => plural);
  const toVelero = written.filter(
    ({ objectRef, user }) =>
      plurals.includes(`${objectRef?.resource}.${objectRef?.apiGroup}`) &&
      user.username.startsWith(`system:serviceaccount:${SYSTEM_NAMESPACE}:`),
  );
  expect(toVelero.filter(({ verb }) => verb !== "create")).toEqual([]);
  const created = toVelero.filter(({ responseStatus }) => responseStatus?.code === 201).length;
  const ours = objects.filter((object) => object.metadata.labels?.[Label.operation] !== undefined).length;
  expect(created, "successful creates, one for each object").toBe(ours);
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

/** Makes a namespace with an application in it, and asks for its Backup or Restore. */
async function ask(kind: Kind, namespace: string): Promise<void> {
  await client.create(namespaces, { metadata: { name: namespace } });
  await client.create(configMaps, { metadata: { name: "settings", namespace }, data: { theme: "dark" } });
  await client.create(applicationInstances, {
    metadata: { name: "shop", namespace },
    spec: { appRef: { catalogId: "shop" } },
  });
  await client.create(operations, kind.request(namespace));
}
