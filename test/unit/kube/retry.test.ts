import { expect, test, vi } from "vitest";
import { ApiError, UnreachableError } from "../../../src/kube/errors.ts";
import { retry } from "../../../src/kube/retry.ts";
import { FakeClock } from "./fakeClock.ts";
import { recordingLogger, status } from "./loopback.ts";

function context() {
  const { logger, lines } = recordingLogger();
  const controller = new AbortController();
  return { signal: controller.signal, logger, clock: new FakeClock(), lines, controller };
}

/** A call that fails with each of the errors in turn, then answers how often it was tried. */
function failing(...errors: Error[]): () => Promise<number> {
  let tries = 0;
  return async () => {
    const error = errors[tries++];
    if (error !== undefined) throw error;
    return tries;
  };
}

const unreachable = new UnreachableError("get pods a/b", "ECONNRESET");

test("trouble that passes is waited out, and each try is logged", async () => {
  const { lines, ...options } = context();
  const call = retry(failing(unreachable, new ApiError("get pods a/b", 503, "starting")), options);
  await options.clock.advance(750);
  expect(await call).toBe(3);
  expect(lines).toMatchObject([{ tries: 1 }, { tries: 2 }]);
});

test.each([403, 404, 409, 422])("an answer is not asked for again: %i", async (code) => {
  const { lines, ...options } = context();
  const error = new ApiError("get pods a/b", code, status(code, "", "no"));
  await expect(retry(failing(error), options)).rejects.toBe(error);
  expect(lines).toEqual([]);
});

test("the server's Retry-After is kept", async () => {
  const { clock, ...options } = context();
  let answered = false;
  const call = retry(failing(new ApiError("get pods a/b", 429, "busy", "30")), { clock, ...options }).then(() => {
    answered = true;
  });
  await vi.waitFor(() => expect(clock.sleeping).toBe(1));
  await clock.advance(29_999);
  expect(answered).toBe(false);
  expect(clock.sleeping).toBe(1);
  await clock.advance(1);
  await call;
});

test("a Retry-After of a day is kept for a minute only", async () => {
  const { clock, ...options } = context();
  const busy = new ApiError("get pods a/b", 429, "busy", "86400");
  const call = retry(failing(busy), { clock, ...options, maxRetryTimeMs: Number.POSITIVE_INFINITY });
  await vi.waitFor(() => expect(clock.sleeping).toBe(1));
  await clock.advance(60_000);
  expect(clock.sleeping).toBe(0);
  expect(await call).toBe(2);
});

test("what is logged of a try leaves the Operation's attempt alone", async () => {
  const { lines, logger, ...options } = context();
  const call = retry(failing(unreachable), { ...options, logger: logger.child({ uid: "u1", attempt: 7 }) });
  await options.clock.advance(750);
  await call;
  expect(lines).toMatchObject([{ uid: "u1", attempt: 7, tries: 1 }]);
});

test.each([
  ["etcd", 500, "etcdserver: request is too large"],
  ["the connection to etcd", 500, "rpc error: trying to send message larger than max (2100000 vs. 2097152)"],
  ["the API server", 413, "Request entity too large: limit is 3145728"],
])("an object that is too large for %s is not sent again", async (_, code, message) => {
  const { lines, ...options } = context();
  const error = new ApiError("replace operations a/b", code, status(code, "", message));
  await expect(retry(failing(error), options)).rejects.toBe(error);
  expect(lines).toEqual([]);
});

test("the signal ends the waiting, with its own reason", async () => {
  const { controller, ...options } = context();
  const call = retry(failing(...Array<Error>(100).fill(unreachable)), options);
  controller.abort(new Error("SIGTERM"));
  await expect(call).rejects.toThrow("SIGTERM");
});

test("when the time is up the last error is told", async () => {
  const { lines, ...options } = context();
  const neverBetter = failing(...Array<Error>(10_000).fill(unreachable));
  await expect(retry(neverBetter, { ...options, maxRetryTimeMs: 1 })).rejects.toBe(unreachable);
});
