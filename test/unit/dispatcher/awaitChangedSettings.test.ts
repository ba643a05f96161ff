import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { changedSetup } from "../../../src/dispatcher/awaitChangedSettings.ts";
import { loadSetup } from "../../../src/dispatcher/settings.ts";
import { temporaryFolder } from "../../temporaryFolder.ts";
import { FakeClock } from "../kube/fakeClock.ts";
import { recordingLogger } from "../kube/loopback.ts";

const folder = temporaryFolder();

/** Waits for a change of these settings, on a clock that the test moves from one look to the next. */
async function watching(settings: string, key = "k1") {
  const [file, keyFile] = [join(folder(), "settings.yaml"), join(folder(), "key")];
  await writeFile(file, settings);
  await writeFile(keyFile, key);
  const env = { OPERATION_RUNNER_SETTINGS: file, OPERATION_RUNNER_APPROVAL_KEY_FILE: keyFile };
  const clock = new FakeClock();
  const { logger, lines } = recordingLogger();
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const valid: boolean[] = [];
  const inForce = await loadSetup(env);
  const changed = changedSetup(env, inForce, {
    clock,
    logger,
    signal: stop.signal,
    onValidity: (now) => valid.push(now),
  });
  const outcome = vi.fn();
  changed.then(outcome, outcome);
  /** So many looks at the files, each of which is over before the next. */
  const looks = async (count: number) => {
    for (let done = 0; done < count; done += 1) {
      await vi.waitFor(() => expect(clock.sleeping).toBe(1));
      await clock.advance(2_000);
      await vi.waitFor(() => expect(clock.sleeping + outcome.mock.calls.length).toBe(1));
    }
  };
  /** Puts another file in its place at once. */
  const replace = async (path: string, text: string) => {
    await writeFile(`${path}.new`, text);
    await rename(`${path}.new`, path);
  };
  return { file, keyFile, looks, replace, outcome, valid, lines, stop };
}

test("what says the same in other words is no change", async () => {
  const { file, looks, replace, outcome, lines } = await watching("limits: {maxConcurrent: 4}\n");
  await replace(file, "# as before\nlimits:\n  maxConcurrent: 4\n");
  await looks(4);
  expect(outcome).not.toHaveBeenCalled();
  expect(lines).toEqual([]);
});

test("another value is a change, once two looks agree on it", async () => {
  const { file, looks, replace, outcome } = await watching("limits: {maxConcurrent: 4}\n");
  // Cut in the middle of being written, it is a valid file: one that sets nothing.
  await replace(file, "");
  await looks(1);
  await replace(file, "limits: {maxConcurrent: 5}\n");
  await looks(1);
  expect(outcome).not.toHaveBeenCalled();
  await looks(1);
  expect(outcome).toHaveBeenCalledExactlyOnceWith(
    expect.objectContaining({
      settings: expect.objectContaining({ limits: expect.objectContaining({ maxConcurrent: 5 }) }),
    }),
  );
});

test("another key is a change too", async () => {
  const { keyFile, looks, replace, outcome } = await watching("");
  await replace(keyFile, "k2\n");
  await looks(2);
  expect(outcome).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ approvalKey: "k2" }));
});

test("what cannot be used is told once, in full, and changes nothing until it is mended", async () => {
  const { file, keyFile, looks, replace, outcome, valid, lines } = await watching("clusterId: eu-1\n");
  await replace(file, "clusterId: [eu-2]\nlimit: 4\n");
  await looks(5);
  expect(valid).toEqual([false]);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({
    level: 50,
    why: expect.stringMatching(/clusterId: must be a text.*limit: unknown/s),
  });
  await replace(file, "clusterId: eu-1\n");
  await looks(3);
  expect(valid).toEqual([false, true]);
  await replace(keyFile, "");
  await looks(3);
  expect(valid).toEqual([false, true, false]);
  expect(lines.at(-1)).toMatchObject({ why: expect.stringContaining("key is empty") });
  expect(outcome).not.toHaveBeenCalled();
  await replace(keyFile, "k1");
  await replace(file, "clusterId: eu-2\n");
  await looks(2);
  expect(outcome).toHaveBeenCalledOnce();
  expect(valid).toEqual([false, true, false, true]);
});

test("it ends when the process does", async () => {
  const { stop, outcome } = await watching("");
  stop.abort(new Error("SIGTERM"));
  await vi.waitFor(() => expect(outcome).toHaveBeenCalledExactlyOnceWith(new Error("SIGTERM")));
});
