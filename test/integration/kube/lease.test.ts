import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../src/kube/clock.ts";
import { withLease } from "../../../src/kube/lease.ts";
import { leases } from "../../../src/kube/resources.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { connect, freshNamespace, silent } from "./connect.ts";

const client = connect(testCluster().kubeconfig);

test("of three candidates one acts at a time, and each that stops hands over at once", async () => {
  const namespace = await freshNamespace(client);
  const acting = new Set<string>();
  const order: string[] = [];
  let most = 0;
  const run = (identity: string) => {
    const stop = new AbortController();
    onTestFinished(() => stop.abort());
    const acts = Promise.withResolvers<void>();
    // The duration is so long that only a handover, not an expiry, lets the next one act within the test.
    const timings = { durationMs: 3_600_000, renewDeadlineMs: 3_000_000, retryMs: 50 };
    const options = { namespace, name: "only-one", identity, ...timings, logger: silent, clock: systemClock };
    const ended = withLease(client, { ...options, signal: stop.signal }, async (signal) => {
      acting.add(identity);
      most = Math.max(most, acting.size);
      order.push(identity);
      acts.resolve();
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      acting.delete(identity);
    });
    ended.catch(() => undefined);
    return { identity, stop, ended, acts: acts.promise };
  };
  const waiting = ["one", "two", "three"].map(run);
  while (waiting.length > 0) {
    await Promise.race(waiting.map(({ acts }) => acts));
    const [acting] = waiting.splice(
      waiting.findIndex(({ identity }) => identity === order.at(-1)),
      1,
    );
    acting?.stop.abort();
    await acting?.ended;
  }
  expect(order.toSorted()).toEqual(["one", "three", "two"]);
  expect(most).toBe(1);
  const lease = await client.get(leases, { namespace, name: "only-one" });
  expect(lease.spec).toMatchObject({ leaseTransitions: 2 });
  expect(lease.spec?.holderIdentity).toBeUndefined();
});
