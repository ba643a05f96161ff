import { expect, test, vi } from "vitest";
import { LeaseLostError, type LeaseOptions, withLease } from "../../../src/kube/lease.ts";
import type { Lease } from "../../../src/kube/resources.ts";
import { FakeClock } from "./fakeClock.ts";
import { type Exchange, recordingLogger, serve, status } from "./loopback.ts";

const timings = { durationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 };

/** A server that keeps one Lease, with resourceVersions and conflicts, until told to fall silent. */
async function leaseServer(clock?: FakeClock) {
  let lease: (Lease & { spec: Record<string, unknown> }) | undefined;
  let version = 0;
  let silent = false;
  let storedAt = 0;
  const store = (body: Lease, json: Exchange["json"]) => {
    version += 1;
    storedAt = clock?.monotonic() ?? 0;
    const metadata = { ...body.metadata, uid: "u", creationTimestamp: "2026-01-01T00:00:00Z" };
    lease = { ...body, spec: { ...body.spec }, metadata: { ...metadata, resourceVersion: String(version) } };
    json(200, lease);
  };
  const { client } = await serve(async ({ request, json }) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    if (silent) return;
    const body = text === "" ? undefined : JSON.parse(text);
    if (request.method === "POST") {
      if (lease === undefined) store(body, json);
      else json(409, status(409, "AlreadyExists", "there is one"));
    } else if (lease === undefined) json(404, status(404, "NotFound", "lease not found"));
    else if (request.method === "GET") json(200, lease);
    else if (body.metadata.resourceVersion === lease.metadata.resourceVersion) store(body, json);
    else json(409, status(409, "Conflict", "the object has been modified"));
  });
  const edit = (spec: Record<string, unknown>) => {
    if (lease !== undefined) store({ ...lease, spec: { ...lease.spec, ...spec } }, () => undefined);
  };
  return {
    client,
    edit,
    holder: () => lease?.spec.holderIdentity,
    version: () => version,
    storedAt: () => storedAt,
    transitions: () => lease?.spec.leaseTransitions,
    fallSilent: () => {
      silent = true;
    },
  };
}

/** One candidate that, once it leads, works until its signal aborts. */
function candidate(server: Awaited<ReturnType<typeof leaseServer>>, identity: string, clock: FakeClock) {
  const stop = new AbortController();
  const state = { leading: false };
  const options: LeaseOptions = {
    ...timings,
    namespace: "vworkspace-system",
    name: "operation-dispatcher",
    identity,
    signal: stop.signal,
    clock,
    logger: recordingLogger().logger,
  };
  const ended = withLease(server.client, options, async (signal) => {
    state.leading = true;
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    state.leading = false;
  });
  ended.catch(() => undefined);
  return { state, stop, ended };
}

/** Moves the clock on in small steps until the condition holds; stands still while a request is under way. */
async function advanceUntil(clock: FakeClock, sleepersWhenIdle: number, condition: () => boolean): Promise<void> {
  while (!condition()) {
    await vi.waitFor(() => expect(clock.sleeping === sleepersWhenIdle || condition()).toBe(true), {
      interval: 1,
      timeout: 30_000,
    });
    await clock.advance(100);
  }
}

/** A candidate that waits sleeps once; a holder twice: until its next renewal, and until its deadline. */
const waiting = 1;
const holding = 2;

test.each([1, 3])(
  "a holder whose API server falls silent after %i writes stops before anybody may take over",
  async (writes) => {
    const clock = new FakeClock();
    const server = await leaseServer(clock);
    const holder = candidate(server, "one", clock);
    await vi.waitFor(() => expect(holder.state.leading).toBe(true));
    await advanceUntil(clock, holding, () => server.version() === writes);
    server.fallSilent();
    await clock.advance(server.storedAt() + timings.renewDeadlineMs - clock.monotonic() - 1);
    expect(holder.state.leading).toBe(true);
    await clock.advance(1);
    expect(holder.state.leading).toBe(false);
    await expect(holder.ended).rejects.toThrow(LeaseLostError);
  },
);

test("a candidate waits the whole duration after the last sign of life, then takes over", async () => {
  const server = await leaseServer();
  const clock = new FakeClock();
  const first = candidate(server, "one", clock);
  await vi.waitFor(() => expect(first.state.leading).toBe(true));
  first.stop.abort();
  await first.ended;
  // As a crashed holder leaves it.
  server.edit({ holderIdentity: "crashed", leaseDurationSeconds: 15 });
  const second = candidate(server, "two", clock);
  const beganAt = clock.monotonic();
  await advanceUntil(clock, waiting, () => second.state.leading);
  expect(clock.monotonic() - beganAt).toBeGreaterThanOrEqual(timings.durationMs);
  expect(server.holder()).toBe("two");
  expect(server.transitions()).toBe(1);
});

test("a holder that finds another's name on the lease stops at once", async () => {
  const server = await leaseServer();
  const clock = new FakeClock();
  const holder = candidate(server, "one", clock);
  await vi.waitFor(() => expect(holder.state.leading).toBe(true));
  server.edit({ holderIdentity: "usurper" });
  await advanceUntil(clock, holding, () => !holder.state.leading);
  await expect(holder.ended).rejects.toThrow("lease operation-dispatcher is now held by usurper");
  expect(server.holder()).toBe("usurper");
});

test("a holder renews for as long as it works, and goes on after an unrelated edit", async () => {
  const server = await leaseServer();
  const clock = new FakeClock();
  const holder = candidate(server, "one", clock);
  await vi.waitFor(() => expect(holder.state.leading).toBe(true));
  server.edit({ renewTime: "2026-01-01T00:00:00.000000Z" });
  await advanceUntil(clock, holding, () => clock.monotonic() > 5 * timings.durationMs);
  expect(holder.state.leading).toBe(true);
  holder.stop.abort();
  await holder.ended;
  expect(server.holder()).toBeUndefined();
});

test("timings that would let two act at once are refused", async () => {
  const server = await leaseServer();
  const options = { ...timings, renewDeadlineMs: 15_000, namespace: "n", name: "l", identity: "i" };
  const { logger } = recordingLogger();
  const started = withLease(
    server.client,
    { ...options, signal: new AbortController().signal, clock: new FakeClock(), logger },
    async () => undefined,
  );
  await expect(started).rejects.toThrow("renewDeadlineMs must be below durationMs");
});
