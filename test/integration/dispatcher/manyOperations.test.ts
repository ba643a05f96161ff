import pino from "pino";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Label } from "../../../src/api/labels.ts";
import { isTerminal, isVeleroOperation, operations, type VeleroOperation } from "../../../src/api/operation.ts";
import { isAdmitted } from "../../../src/api/status.ts";
import { systemClock } from "../../../src/kube/clock.ts";
import { keyOf } from "../../../src/kube/metadata.ts";
import { jobs } from "../../../src/kube/resources.ts";
import { watchResource } from "../../../src/kube/watch.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { DispatcherFixture, installApis, type Request } from "./dispatcherFixture.ts";

const cluster = testCluster();
let fixture: DispatcherFixture;

beforeAll(() => installApis(cluster, { snapshots: true }));
beforeEach(async () => {
  fixture = await DispatcherFixture.open(cluster);
});
afterEach(() => fixture.close());

interface Limits {
  readonly all: number;
  readonly each: number;
}

/** The rules that those under way break together. */
function broken(all: Iterable<VeleroOperation>, limits: Limits): string[] {
  const underWay = [...all].filter(({ status }) => isAdmitted(status) && !isTerminal(status?.phase));
  const found = underWay.length > limits.all ? [`${underWay.length} under way`] : [];
  for (const [namespace = "", team = []] of Map.groupBy(underWay, ({ metadata }) => metadata.namespace)) {
    if (team.length > limits.each) found.push(`${team.length} under way in ${namespace}`);
    const restores = team.filter(({ spec }) => spec.type === "Restore");
    if (restores.length > 0 && team.length > 1) found.push(`${restores.map(keyOf)} not alone in ${namespace}`);
  }
  return found;
}

/**
 * Runs batch after batch, each when all before it have ended, with a runner that begins and ends whatever gets a Job.
 *
 * @returns every rule that was broken at any moment, read off one watch and so as of one moment each
 */
async function play(batches: readonly (readonly Request[])[], limits: Limits): Promise<string[]> {
  const end = new AbortController();
  const options = { signal: end.signal, clock: systemClock, logger: pino({ level: "silent" }) };
  const teams = [fixture.tenant, ...fixture.otherTenants];
  for (const team of teams) await fixture.target("shop", "True", team);
  const dispatcher = fixture.dispatcher({
    OPERATION_RUNNER_LIMITS_MAX_CONCURRENT: String(limits.all),
    OPERATION_RUNNER_LIMITS_MAX_CONCURRENT_PER_NAMESPACE: String(limits.each),
    OPERATION_RUNNER_LOG_LEVEL: "info",
  });
  await dispatcher.logged(({ msg }) => msg === "lease acquired");

  const running: Promise<void>[] = [];
  const runners = (async () => {
    for await (const event of watchResource(fixture.client, jobs, { ...options, namespace: fixture.jobNamespace })) {
      if (event.type !== "added") continue;
      const { labels = {} } = event.object.metadata;
      const { [Label.operationName]: name = "", [Label.operationNamespace]: namespace = "" } = labels;
      const conditions = [{ type: "Running", status: "True", reason: "VeleroBackupInProgress", message: "" }] as const;
      const begun = fixture.report(name, { phase: "Running", conditions }, namespace);
      running.push(begun.then(() => fixture.succeed(name, namespace)));
    }
  })();

  const problems: string[] = [];
  const seen = new Map<string, VeleroOperation>();
  const watch = watchResource(fixture.client, operations, options);
  for (const batch of batches) {
    const created = Promise.all(batch.map((request) => fixture.operation(request)));
    for (let ended = 0; ended < batch.length; ) {
      const { value: event } = await watch.next();
      if (event.type === "synced" || !isVeleroOperation(event.object)) continue;
      const { object } = event;
      if (!teams.includes(object.metadata.namespace)) continue;
      if (isTerminal(object.status?.phase) && !isTerminal(seen.get(keyOf(object))?.status?.phase)) ended += 1;
      seen.set(keyOf(object), object);
      problems.push(...broken(seen.values(), limits));
    }
    await created;
  }
  end.abort(new Error("done"));
  await runners.catch(() => undefined);
  await Promise.all(running);
  return problems;
}

test("3 teams, 500 Operations: all end, and no rule is broken on the way", { timeout: 600_000 }, async () => {
  const teams = [fixture.tenant, ...fixture.otherTenants];
  const requests = Array.from({ length: 500 }, (_, i) => ({
    name: `op-${String(i).padStart(3, "0")}`,
    namespace: teams[Math.floor(Math.random() * teams.length)] ?? fixture.tenant,
    ...(Math.random() < 0.2 && { type: "Restore" as const, parameters: { backupName: "b" } }),
  }));
  expect(await play([requests], { all: 12, each: 5 })).toEqual([]);
  expect(await fixture.jobNames()).toHaveLength(500);
});

test("of two that come in the same moment only one takes the last slot", async () => {
  const pairs = Array.from({ length: 40 }, (_, i) => ["a", "b"].map((side) => ({ name: `pair-${i}-${side}` })));
  expect(await play(pairs, { all: 1, each: 1 })).toEqual([]);
});
