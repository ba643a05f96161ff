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
import { Arena, installApis } from "./arena.ts";

const cluster = testCluster();
const TEAMS = 3;
const COUNT = 500;
const LIMITS = { all: 12, each: 5 };
let arena: Arena;

beforeAll(() => installApis(cluster, { snapshots: true }));
beforeEach(async () => {
  arena = await Arena.open(cluster);
});
afterEach(() => arena.close());

/** The rules that those under way break together; read off one watch, so as of one moment. */
function broken(all: Iterable<VeleroOperation>): string[] {
  const underWay = [...all].filter(({ status }) => isAdmitted(status) && !isTerminal(status?.phase));
  const found = underWay.length > LIMITS.all ? [`${underWay.length} under way`] : [];
  for (const [namespace = "", team = []] of Map.groupBy(underWay, ({ metadata }) => metadata.namespace)) {
    if (team.length > LIMITS.each) found.push(`${team.length} under way in ${namespace}`);
    const restores = team.filter(({ spec }) => spec.type === "Restore");
    if (restores.length > 0 && team.length > 1) found.push(`${restores.map(keyOf)} not alone in ${namespace}`);
  }
  return found;
}

test(`${TEAMS} teams, ${COUNT} Operations: all end, and no rule is broken on the way`, async () => {
  const end = new AbortController();
  const options = { signal: end.signal, clock: systemClock, logger: pino({ level: "silent" }) };
  const teams = [arena.tenant, ...arena.otherTenants].slice(0, TEAMS);
  for (const team of teams) await arena.target("shop", "True", team);
  arena.dispatcher({
    OPERATION_RUNNER_LIMITS_MAX_CONCURRENT: String(LIMITS.all),
    OPERATION_RUNNER_LIMITS_MAX_CONCURRENT_PER_NAMESPACE: String(LIMITS.each),
    OPERATION_RUNNER_LOG_LEVEL: "warn",
  });

  const seen = new Map<string, VeleroOperation>();
  const problems: string[] = [];
  const finished = (async () => {
    let ended = 0;
    for await (const event of watchResource(arena.client, operations, options)) {
      if (event.type === "synced" || !isVeleroOperation(event.object)) continue;
      const { object } = event;
      if (!teams.includes(object.metadata.namespace)) continue;
      if (isTerminal(object.status?.phase) && !isTerminal(seen.get(keyOf(object))?.status?.phase)) ended += 1;
      seen.set(keyOf(object), object);
      problems.push(...broken(seen.values()));
      if (ended === COUNT) return;
    }
  })();
  // The runners' part: whatever gets a Job begins, and ends.
  const running: Promise<void>[] = [];
  const runners = (async () => {
    for await (const event of watchResource(arena.client, jobs, { ...options, namespace: arena.jobNamespace })) {
      if (event.type !== "added") continue;
      const { [Label.operationName]: name = "", [Label.operationNamespace]: namespace = "" } =
        event.object.metadata.labels ?? {};
      const conditions = [{ type: "Running", status: "True", reason: "VeleroBackupInProgress", message: "" }] as const;
      running.push(
        arena.report(name, { phase: "Running", conditions }, namespace).then(() => arena.succeed(name, namespace)),
      );
    }
  })();

  const requests = Array.from({ length: COUNT }, (_, i) => ({
    name: `op-${String(i).padStart(3, "0")}`,
    namespace: teams[Math.floor(Math.random() * TEAMS)] ?? arena.tenant,
    ...(Math.random() < 0.2 && { type: "Restore" as const, parameters: { backupName: "b" } }),
  }));
  for (let at = 0; at < COUNT; at += 25)
    await Promise.all(requests.slice(at, at + 25).map((each) => arena.operation(each)));

  await finished;
  end.abort(new Error("done"));
  await runners.catch(() => undefined);
  await Promise.all(running);
  expect(problems).toEqual([]);
  expect(await arena.jobNames()).toHaveLength(COUNT);
});
