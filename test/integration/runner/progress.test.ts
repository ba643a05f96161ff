import { expect, test } from "vitest";
import { operations } from "../../../src/api/operation.ts";
import { podVolumeBackups } from "../../../src/api/velero.ts";
import type { Clock } from "../../../src/kube/clock.ts";
import { systemClock } from "../../../src/kube/clock.ts";
import { watchResource } from "../../../src/kube/watch.ts";
import { createLogger } from "../../../src/log.ts";
import { client, type RunnerFixture, runnerFixtures } from "./runnerFixture.ts";

const openStage = runnerFixtures();

/** Time that stands still until it is told to go on. */
class HandClock implements Clock {
  #time = 0;
  readonly #sleepers = new Set<{ until: number; wake: () => void }>();

  now = () => new Date();
  monotonic = () => this.#time;

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const { promise, resolve: wake } = Promise.withResolvers<void>();
    const sleeper = { until: this.#time + ms, wake };
    this.#sleepers.add(sleeper);
    signal?.addEventListener("abort", () => wake(), { once: true });
    await promise;
    this.#sleepers.delete(sleeper);
    signal?.throwIfAborted();
  }

  /** How long until somebody wakes, in milliseconds. */
  get untilNext(): number {
    return Math.min(...[...this.#sleepers].map(({ until }) => until - this.#time));
  }

  goOn(ms: number): void {
    this.#time += ms;
    for (const { until, wake } of this.#sleepers) if (until <= this.#time) wake();
  }
}

/** Every value of the items in the Operation's progress, as they are written, until told to stop. */
function itemsWritten(fixture: RunnerFixture, name: string): { values: number[]; stop: () => Promise<void> } {
  const values: number[] = [];
  const done = new AbortController();
  const reading = (async () => {
    const options = {
      namespace: fixture.namespace,
      fieldSelector: `metadata.name=${name}`,
      signal: done.signal,
      logger: createLogger("test", "silent"),
      clock: systemClock,
    };
    for await (const event of watchResource(client, operations, options)) {
      const items = event.type === "synced" ? undefined : event.object.status?.progress?.itemsCompleted;
      if (items !== undefined && items !== values.at(-1)) values.push(items);
    }
  })().catch(() => undefined);
  return {
    values,
    async stop() {
      done.abort();
      await reading;
    },
  };
}

async function progressTo(fixture: RunnerFixture, itemsBackedUp: number): Promise<void> {
  await fixture.velero.setStatus("Backup", "b1", { progress: { totalItems: 100, itemsBackedUp } });
}

test("progress alone is written at intervals, a new phase within a second, and the last progress is not left out", async () => {
  const fixture = await openStage();
  const clock = new HandClock();
  const { ended } = fixture.start(await fixture.admitted("b1", { type: "Backup" }), { clock });
  await fixture.velero.created("Backup", "b1");
  const aSecondLater = async () => {
    await expect.poll(() => clock.untilNext).toBeLessThanOrEqual(1_000);
    clock.goOn(1_000);
  };
  await fixture.velero.setStatus("Backup", "b1", { phase: "InProgress" });
  await aSecondLater();
  await fixture.until("b1", ({ phase }) => phase === "Running");
  const written = itemsWritten(fixture, "b1");

  for (const items of [1, 2, 3, 4, 5]) await progressTo(fixture, items);
  await fixture.velero.setStatus("Backup", "b1", { phase: "Finalizing" });
  await aSecondLater();
  await fixture.until("b1", ({ progress }) => progress?.itemsCompleted === 5);

  // Nothing follows this one: only time can bring it out.
  await progressTo(fixture, 9);
  await expect.poll(() => clock.untilNext).toBeLessThanOrEqual(2_000);
  clock.goOn(2_000);
  await fixture.until("b1", ({ progress }) => progress?.itemsCompleted === 9);
  await fixture.velero.setStatus("Backup", "b1", { phase: "Completed" });
  expect(await ended).toMatchObject({ exitCode: 0 });
  await written.stop();
  expect(written.values).toEqual([5, 9]);
});

test("the percentage never falls, in the next run neither, and is 100 only at the end", async () => {
  const fixture = await openStage();
  const operation = await fixture.admitted("b1", { type: "Backup" });
  const first = fixture.start(operation);
  const { metadata } = await fixture.velero.created("Backup", "b1");
  await fixture.velero.setStatus("Backup", "b1", {
    phase: "InProgress",
    progress: { totalItems: 20, itemsBackedUp: 10 },
  });
  await fixture.until("b1", ({ progress }) => progress?.percent === 50);
  first.stop();

  // A pod's annotation asked for it: nobody could know before.
  const copy = { namespace: fixture.velero.namespace, name: "copy" };
  await client.create(podVolumeBackups, {
    metadata: { ...copy, labels: { "velero.io/backup-uid": metadata.uid } },
    spec: POD_VOLUME_BACKUP,
    status: { progress: { totalBytes: 1000, bytesDone: 100 } },
  });
  const second = fixture.start(operation);
  const found = await fixture.until("b1", ({ progress }) => progress?.bytesTotal === 1000);
  expect(found.status?.progress).toMatchObject({ percent: 50, bytesCompleted: 100 });
  second.stop();

  await client.mergePatch(podVolumeBackups, copy, { status: { progress: { bytesDone: 1000 } } });
  await fixture.velero.setStatus("Backup", "b1", { phase: "Finalizing", progress: { itemsBackedUp: 20 } });
  const third = fixture.start(operation);
  const moved = await fixture.until("b1", ({ progress }) => progress?.bytesCompleted === 1000);
  expect(moved.status?.progress?.percent).toBe(99);
  await fixture.velero.setStatus("Backup", "b1", { phase: "Completed" });
  expect(await third.ended).toMatchObject({ exitCode: 0 });
  expect((await fixture.read("b1")).status?.progress).toMatchObject({ percent: 100, bytesCompleted: 1000 });
});

const POD_VOLUME_BACKUP = {
  node: "n1",
  pod: { kind: "Pod", name: "p", namespace: "org-a" },
  volume: "data",
  backupStorageLocation: "default",
  repoIdentifier: "",
  uploaderType: "kopia",
};
