import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { ApiError } from "../../../src/kube/errors.ts";
import { WorkQueue } from "../../../src/kube/queue.ts";
import { FakeClock } from "./fakeClock.ts";
import { recordingLogger } from "./loopback.ts";

const backoff = { minMs: 1_000, maxMs: 8_000 };

/** A running queue whose work waits to be let go by the test. */
function start({ concurrency = 10 } = {}) {
  const clock = new FakeClock();
  const started: string[] = [];
  const { logger, lines } = recordingLogger();
  const open = new Map<string, { resolve(): void; reject(error: Error): void }>();
  const queue = new WorkQueue({
    work: (key) => {
      started.push(`${key}@${clock.monotonic()}`);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      if (open.has(key)) throw new Error(`two at once on ${key}`);
      open.set(key, { resolve, reject });
      return promise.finally(() => open.delete(key));
    },
    concurrency,
    backoff,
    clock,
    logger,
  });
  const stop = new AbortController();
  const stopped = queue.run(stop.signal);
  onTestFinished(() => stop.abort());
  const end = async (key: string, error?: Error) => {
    const work = open.get(key);
    if (work === undefined) throw new Error(`nobody works on ${key}`);
    if (error === undefined) work.resolve();
    else work.reject(error);
    await clock.advance(0);
  };
  return { queue, clock, started, open, end, stop, stopped, lines };
}

test("a key added many times before it is due is worked on once, at the earliest time", async () => {
  const { queue, clock, started } = start();
  queue.add("a", { afterMs: 500 });
  queue.add("a", { afterMs: 100 });
  queue.add("a", { afterMs: 900 });
  await clock.advance(99);
  expect(started).toEqual([]);
  await clock.advance(10_000);
  expect(started).toEqual(["a@100"]);
});

test("a key added while it is worked on comes again once that is done, and only once", async () => {
  const { queue, clock, started, end } = start();
  queue.add("a");
  await clock.advance(0);
  queue.add("a");
  queue.add("a");
  await clock.advance(50);
  expect(started).toEqual(["a@0"]);
  await end("a");
  expect(started).toEqual(["a@0", "a@50"]);
  await end("a");
  await clock.advance(10_000);
  expect(started).toHaveLength(2);
});

test("no more are worked on at once than allowed, first come first served", async () => {
  const { queue, clock, started, end } = start({ concurrency: 2 });
  for (const key of ["a", "b", "c", "d"]) queue.add(key);
  await clock.advance(0);
  expect(started).toEqual(["a@0", "b@0"]);
  expect(queue.size).toEqual({ waiting: 2, running: 2 });
  await end("b");
  expect(started).toEqual(["a@0", "b@0", "c@0"]);
});

test("what is urgent goes before all else that is due, also where the key waited already", async () => {
  const { queue, clock, started, end } = start({ concurrency: 1 });
  for (const key of ["a", "b", "c", "d"]) queue.add(key);
  queue.add("later", { afterMs: 50 });
  queue.add("d", { urgent: true });
  queue.add("soon", { afterMs: 10, urgent: true });
  await clock.advance(0);
  await clock.advance(10);
  for (const key of ["d", "soon", "a", "b", "c"]) await end(key);
  expect(started).toEqual(["d@0", "soon@10", "a@10", "b@10", "c@10"]);
});

test("failing work comes again after a growing wait; success forgets the failures", async () => {
  const { queue, clock, open, started, end } = start();
  const waits: number[] = [];
  const failAndWait = async () => {
    const failedAt = clock.monotonic();
    await end("a", new Error("no"));
    while (!open.has("a")) await clock.advance(1);
    waits.push(clock.monotonic() - failedAt);
  };
  queue.add("a");
  await clock.advance(0);
  for (let i = 0; i < 5; i++) await failAndWait();
  await end("a");
  queue.add("a");
  await clock.advance(0);
  await failAndWait();
  expect(started).toHaveLength(8);
  // Up to a half of each is taken off by chance.
  for (const [i, full] of [1_000, 2_000, 4_000, 8_000, 8_000, 1_000].entries()) {
    expect(waits[i]).toBeGreaterThan(full / 2 - 1);
    expect(waits[i]).toBeLessThanOrEqual(full + 1);
  }
});

test("whose work failed can be read in the log", async () => {
  const { queue, clock, end, lines } = start();
  queue.add("org-a/nightly");
  await clock.advance(0);
  await end("org-a/nightly", new Error("no"));
  // Not as `key`: that is blanked, as every field that may hold a credential.
  expect(lines).toMatchObject([{ msg: "work failed, will try again", object: "org-a/nightly" }]);
});

test("one failing key holds up no other", async () => {
  const { queue, clock, started, end } = start({ concurrency: 1 });
  queue.add("bad");
  await clock.advance(0);
  queue.add("good");
  await end("bad", new Error("no"));
  expect(started).toEqual(["bad@0", "good@0"]);
});

test("stopping waits for what is being worked on, and starts nothing new", async () => {
  const { queue, clock, started, end, stop, stopped } = start({ concurrency: 1 });
  queue.add("a");
  queue.add("b");
  await clock.advance(0);
  stop.abort();
  let drained = false;
  void stopped.then(() => {
    drained = true;
  });
  await clock.advance(10_000);
  expect(drained).toBe(false);
  await end("a");
  await stopped;
  expect(started).toEqual(["a@0"]);
});

test("whatever is added is worked on after it was last added, never two at once", async () => {
  const step = fc.record({ key: fc.constantFrom("a", "b", "c"), afterMs: fc.nat(50), thenMs: fc.nat(30) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.integer({ min: 1, max: 3 }), async (steps, concurrency) => {
      const clock = new FakeClock();
      const active = new Set<string>();
      const lastStart = new Map<string, number>();
      const lastAdded = new Map<string, number>();
      const queue = new WorkQueue({
        work: async (key) => {
          expect(active.has(key)).toBe(false);
          active.add(key);
          expect(active.size).toBeLessThanOrEqual(concurrency);
          lastStart.set(key, clock.monotonic());
          await clock.sleep(20);
          active.delete(key);
        },
        concurrency,
        backoff,
        clock,
        logger: recordingLogger().logger,
      });
      const stop = new AbortController();
      const stopped = queue.run(stop.signal);
      for (const { key, afterMs, thenMs } of steps) {
        queue.add(key, { afterMs });
        lastAdded.set(key, clock.monotonic());
        await clock.advance(thenMs);
      }
      await clock.advance(10_000);
      for (const [key, added] of lastAdded) expect(lastStart.get(key)).toBeGreaterThanOrEqual(added);
      expect(queue.size).toEqual({ waiting: 0, running: 0 });
      stop.abort();
      await stopped;
    }),
    { numRuns: 50 },
  );
});

test("the server's Retry-After is kept, but for no longer than a minute", async () => {
  const { queue, clock, started, end } = start();
  queue.add("a");
  await clock.advance(0);
  // Longer than a timer can wait: it would fire at once, and again and again.
  await end("a", new ApiError("update operations/status a", 429, "busy", "4000000"));
  await clock.advance(59_999);
  expect(started).toEqual(["a@0"]);
  await clock.advance(1);
  expect(started).toEqual(["a@0", "a@60000"]);
});

test("work that waits for nothing lets everything else have its turn all the same", async () => {
  const done: string[] = [];
  const work = async (key: string) => {
    done.push(key);
  };
  const queue = new WorkQueue({
    work,
    concurrency: 8,
    backoff,
    clock: new FakeClock(),
    logger: recordingLogger().logger,
  });
  for (let at = 0; at < 100; at += 1) queue.add(`key-${at}`);
  const stop = new AbortController();
  const stopped = queue.run(stop.signal);
  await new Promise((resolve) => setImmediate(resolve));
  expect(done.length).toBeGreaterThan(0);
  expect(done.length).toBeLessThan(100);
  stop.abort();
  await stopped;
});
