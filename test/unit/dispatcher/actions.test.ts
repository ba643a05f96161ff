import { beforeEach, expect, test } from "vitest";
import type { VeleroOperation } from "../../../src/api/operation.ts";
import { type ActionContext, carryOut } from "../../../src/dispatcher/actions.ts";
import { settingsSchema } from "../../../src/dispatcher/settings.ts";
import type { Action } from "../../../src/dispatcher/state/world.ts";
import { WritesInFlight } from "../../../src/dispatcher/state/writesInFlight.ts";
import { TemplateStore } from "../../../src/dispatcher/templates/templateStore.ts";
import type { ConfigMap } from "../../../src/kube/resources.ts";
import type { Store } from "../../../src/kube/stores.ts";
import { FakeClock } from "../kube/fakeClock.ts";
import { recordingLogger, serve } from "../kube/loopback.ts";
import { condition } from "./clusterObjects.ts";
import { Cluster, conditionsOf, messageOf, shippedTemplates } from "./fakeCluster.ts";

let cluster: Cluster;
let operation: VeleroOperation;

beforeEach(() => {
  cluster = new Cluster();
  operation = cluster.add();
  cluster.step(operation);
});

/** An API server that refuses every Job, each time with the next of these answers, or gives none. */
async function refusing(answers: (typeof SILENCE | { code: number; [field: string]: unknown })[]) {
  const { client } = await serve(async ({ request, json }) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = JSON.parse(Buffer.concat(chunks).toString());
    if (request.method === "PUT") return json(200, cluster.setStatus(operation, body.status));
    const next = answers.shift() ?? { code: 500 };
    if (next === SILENCE) return;
    const { code, ...answer } = next;
    json(code, { kind: "Status", apiVersion: "v1", status: "Failure", code, ...answer });
  });
  const { logger, lines } = recordingLogger();
  let publish: (configMap: ConfigMap) => void = () => undefined;
  const configMaps: Store<ConfigMap> = {
    get: () => shippedTemplates,
    values: () => [shippedTemplates],
    onChange: (listener) => {
      publish = (configMap) => listener("operation-jobs", configMap, undefined);
    },
  };
  const templates = new TemplateStore(configMaps, settingsSchema.parse({}), logger);
  publish(shippedTemplates);
  const clock = new FakeClock();
  cluster.now = clock.now();
  const callTimeoutMs = answers.includes(SILENCE) ? 500 : 5_000;
  const hands: ActionContext = {
    client,
    clock,
    writesInFlight: new WritesInFlight(),
    templates,
    announce: () => undefined,
    jobNamespace: "vworkspace-system",
    callTimeoutMs,
    onNotWritten: () => undefined,
  };
  const act = async (kind: Action["kind"]) => {
    const { action } = cluster.decide(operation);
    if (action?.kind !== kind) throw new Error(`to be ${kind}, not ${action?.kind}`);
    await carryOut(hands, cluster.current(operation), action, logger);
  };
  return { act, create: () => act("createJob"), templates, logged: () => JSON.stringify(lines) };
}

const SILENCE = "no answer";

const told = () => messageOf(cluster.status(operation), "Running");

test("what a webhook denies is no fault of the template, and is told in words that stay the same", async () => {
  const denied = (host: string) => ({
    code: 400,
    message: `admission webhook "${host}" denied the request of system:serviceaccount:ns:operation-dispatcher`,
  });
  const { create, templates } = await refusing([denied("one.example.com"), denied("two.example.com")]);
  await expect(create()).rejects.toThrow("one.example.com");
  expect(told()).toBe(
    "its Job cannot be created: the API server answered 400; the dispatcher's log has the whole message",
  );
  expect(templates.current.Backup.ok).toBe(true);
  // A write would wake the Operation at once: no wait between two tries.
  const before = cluster.current(operation).metadata.resourceVersion;
  await expect(create()).rejects.toThrow("two.example.com");
  expect(cluster.current(operation).metadata.resourceVersion).toBe(before);
});

test("a policy that denies with 422 is no fault of the template either", async () => {
  const details = { causes: [{ message: "ValidatingAdmissionPolicy p denied request" }] };
  const { create, templates } = await refusing([{ code: 422, reason: "Invalid", message: "not yours", details }]);
  await expect(create()).rejects.toThrow("not yours");
  expect(told()).toMatch(/answered 422 Invalid; /);
  expect(templates.current.Backup.ok).toBe(true);
});

test("a full quota is told as that, without the server's words", async () => {
  const message = 'jobs.batch "x" is forbidden: exceeded quota: q, requested: count/jobs.batch=1';
  const { create } = await refusing([{ code: 403, reason: "Forbidden", message }]);
  await expect(create()).rejects.toThrow("exceeded quota: q");
  expect(told()).toMatch(/exceeded quota in the namespace of the Jobs; the dispatcher tries again$/);
});

test("a field that no API server takes breaks the template; the field is told, and its value logged only", async () => {
  const field = "spec.template.spec.containers[0].imagePullPolicy";
  const details = { causes: [{ reason: "FieldValueNotSupported", message: 'value: "host.internal"', field }] };
  const { create, templates, logged } = await refusing([
    { code: 422, reason: "Invalid", message: 'Job is invalid: "host.internal"', details },
  ]);
  await create();
  const problem = `ConfigMap operation-jobs, backup.yaml: the API server refuses ${field}`;
  expect(templates.current).toMatchObject({ Backup: { ok: false, problem }, Restore: { ok: true } });
  expect(logged()).toContain("host.internal");
});

test("a create that gets no answer is told, for as long as there is no Job", async () => {
  const { create } = await refusing([SILENCE]);
  await expect(create()).rejects.toThrow("no answer from the API server");
  expect(conditionsOf(cluster.status(operation))).toContain("Running=False/FailedCreate");
  expect(told()).toMatch(/^its Job cannot be created: the API server does not answer/);
  // The create had reached the server after all: its watch shows the Job.
  const { action } = cluster.decide(operation);
  if (action === undefined) expect.unreachable();
  cluster.carryOut(operation, action);
  cluster.settle(operation);
  expect(told()).toBe("its runner is being started");
});

test("a Restore that was handed back and whose target cannot be paused says so, and is not admitted", async () => {
  cluster = new Cluster();
  cluster.settings = settingsSchema.parse({ pauseTarget: true });
  operation = cluster.settle(cluster.add({ type: "Restore" }));
  cluster.join(operation, cluster.job(operation));
  cluster.target("org-a");
  const conditions = [
    condition("Accepted", "Unknown", "Pending"),
    condition("Blocked", "True", "StorageLocationUnavailable"),
    condition("Running", "False", "Pending", "not admitted yet"),
  ];
  cluster.setStatus(operation, { ...cluster.status(operation), conditions: Object(conditions) });
  cluster.step(operation);
  const { act } = await refusing([
    { code: 403, reason: "Forbidden", message: "no" },
    { code: 403, reason: "Forbidden", message: "no" },
  ]);
  await expect(act("annotateTarget")).rejects.toThrow("no");
  expect(told()).toMatch(/its target cannot be paused: the API server answered 403 Forbidden/);
  expect(conditionsOf(cluster.status(operation))).toEqual([
    "Accepted=Unknown/Pending",
    "Blocked=False/Unblocked",
    "Running=False/FailedCreate",
  ]);
  // A write would wake the Operation at once: no wait between two tries.
  const before = cluster.current(operation).metadata.resourceVersion;
  await expect(act("annotateTarget")).rejects.toThrow("no");
  expect(cluster.current(operation).metadata.resourceVersion).toBe(before);
});

test("who has no Job for too long has failed, and makes room for others", async () => {
  const { create } = await refusing([{ code: 503, message: "webhook timed out" }]);
  await expect(create()).rejects.toThrow("webhook timed out");
  cluster.now = new Date(cluster.now.getTime() + 2 * 3_600_000);
  cluster.settle(operation);
  expect(conditionsOf(cluster.status(operation))).toContain("Failed=True/RunnerFailed");
  expect(told()).toMatch(/^no runner has been at work since .* FailedCreate: its Job cannot be created: .* 503;/);
});

test("a status for which the store has no room is tried shorter, then told by an Event, and not tried again", async () => {
  const sizes: number[] = [];
  const { client } = await serve(async ({ request, json }) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    sizes.push(Buffer.concat(chunks).length);
    json(500, { kind: "Status", apiVersion: "v1", code: 500, message: "etcdserver: request is too large" });
  });
  const { logger } = recordingLogger();
  const told: string[] = [];
  const hands = {
    client,
    clock: new FakeClock(),
    writesInFlight: new WritesInFlight(),
    announce: (_: unknown, { reason }: { reason: string }) => told.push(reason),
    jobNamespace: "vworkspace-system",
    callTimeoutMs: 5_000,
    onNotWritten: () => undefined,
  };
  const warnings = Array.from({ length: 1_000 }, () => "w".repeat(100));
  const status = { ...cluster.status(operation), outputs: { backupName: "b1", warnings } };
  await carryOut(Object(hands), cluster.current(operation), { kind: "writeStatus", status }, logger);
  expect(sizes).toHaveLength(4);
  expect(sizes).toEqual([...sizes].sort((one, other) => other - one));
  expect(told).toEqual(["StatusTooLarge"]);
});
