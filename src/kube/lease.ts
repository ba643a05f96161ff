import type { Logger } from "pino";
import type { KubeClient } from "./client.ts";
import type { Clock } from "./clock.ts";
import { isAlreadyExists, isConflict } from "./errors.ts";
import { findObject } from "./find.ts";
import { type Lease, leases } from "./resources.ts";

export interface LeaseOptions {
  readonly namespace: string;
  readonly name: string;
  /** Names this candidate, and none other that may live at the same time. The pod's name and uid together do. */
  readonly identity: string;
  /** How long other candidates wait after the last renewal before they take over, in milliseconds. Whole seconds. */
  readonly durationMs: number;
  /** How long the holder works on without a successful renewal, in milliseconds. Shorter than durationMs. */
  readonly renewDeadlineMs: number;
  /** The pause between two renewals, or between two looks at another candidate's lease, in milliseconds. */
  readonly retryMs: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Another candidate holds the lease, or it could not be renewed in time. The work that needs it must have stopped. */
export class LeaseLostError extends Error {
  override readonly name = "LeaseLostError";
}

/** A lease that this candidate holds, and when it sent the renewal: other candidates count from a later moment. */
interface Held {
  readonly lease: Lease;
  readonly renewedAt: number;
}

/** The time for which this candidate holds the lease. */
interface Term {
  held: Held;
  /** Aborts when the lease is no longer needed. */
  readonly ended: AbortSignal;
  readonly lost: AbortSignal;
  readonly lose: (error: LeaseLostError) => void;
}

/**
 * Waits until this candidate holds the lease (coordination.k8s.io/v1), does the work while it renews the lease, and
 * gives the lease back at once when the work is done. The work's signal aborts when options.signal does, and when the
 * lease is lost. That is at the latest renewDeadlineMs after the last renewal was *sent*. Other candidates take over
 * durationMs after they have *seen* it, which is later. No two clocks are compared: each side uses its own monotonic
 * clock.
 *
 * @throws LeaseLostError, once the work has ended; what the work throws; options.signal's reason while still waiting
 */
export async function withLease(
  client: KubeClient,
  options: LeaseOptions,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  if (options.renewDeadlineMs >= options.durationMs) throw new RangeError("renewDeadlineMs must be below durationMs");
  const { signal, logger, name, identity } = options;
  const held = await acquire(client, options);
  logger.info({ lease: name, identity }, "lease acquired");

  const stop = new AbortController();
  const askedToStop = () => stop.abort(signal.reason);
  signal.addEventListener("abort", askedToStop, { once: true });
  if (signal.aborted) askedToStop();
  const lost = new AbortController();
  // The lease is renewed until the work has really ended, which may be a while after its signal aborted.
  const ended = new AbortController();
  const term: Term = {
    held,
    ended: ended.signal,
    lost: lost.signal,
    lose: (error) => {
      logger.error({ err: error, lease: name, identity }, "lease lost");
      lost.abort(error);
      stop.abort(error);
      ended.abort();
    },
  };
  const keeping = Promise.all([renew(client, options, term), expire(options, term)]);
  try {
    await work(stop.signal);
  } finally {
    signal.removeEventListener("abort", askedToStop);
    ended.abort();
    await keeping;
    if (!lost.signal.aborted) await release(client, options, term.held.lease);
  }
  lost.signal.throwIfAborted();
}

async function acquire(client: KubeClient, options: LeaseOptions): Promise<Held> {
  const { signal, clock, logger, name, identity } = options;
  let seen = { resourceVersion: "", at: 0 };
  for (;;) {
    signal.throwIfAborted();
    try {
      const lease = await read(client, options);
      const now = clock.monotonic();
      if (lease !== undefined && lease.metadata.resourceVersion !== seen.resourceVersion) {
        seen = { resourceVersion: lease.metadata.resourceVersion, at: now };
      }
      if (lease === undefined || isFree(lease, identity, now - seen.at, options.durationMs)) {
        return { lease: await write(client, options, lease), renewedAt: now };
      }
      logger.debug({ lease: name, holder: lease.spec?.holderIdentity }, "another candidate holds the lease");
    } catch (error) {
      signal.throwIfAborted();
      // A conflict is no trouble: another candidate was faster.
      if (!isConflict(error) && !isAlreadyExists(error))
        logger.warn({ err: error, lease: name }, "could not acquire the lease, will try again");
    }
    await clock.sleep(options.retryMs, signal);
  }
}

/** Whether this candidate may take a lease that it has seen unchanged for `untouchedMs`. */
function isFree(lease: Lease, identity: string, untouchedMs: number, defaultDurationMs: number): boolean {
  const holder = lease.spec?.holderIdentity ?? "";
  if (holder === "" || holder === identity) return true;
  const seconds = lease.spec?.leaseDurationSeconds;
  return untouchedMs >= (typeof seconds === "number" ? seconds * 1000 : defaultDurationMs);
}

/** Renews the lease until the work has ended, or another candidate holds it. */
async function renew(client: KubeClient, options: LeaseOptions, term: Term): Promise<void> {
  const { clock, logger, name, identity, retryMs } = options;
  let current: Lease | undefined = term.held.lease;
  for (;;) {
    await clock.sleep(retryMs, term.ended).catch(() => undefined);
    if (term.ended.aborted) return;
    const sentAt = clock.monotonic();
    try {
      current ??= await read(client, options, term.lost);
      const holder = current?.spec?.holderIdentity ?? "";
      if (current !== undefined && holder !== identity) {
        return term.lose(new LeaseLostError(`lease ${name} is now held by ${holder === "" ? "nobody" : holder}`));
      }
      current = await write(client, options, current, term.lost);
      term.held = { lease: current, renewedAt: sentAt };
    } catch (error) {
      if (term.ended.aborted) return;
      // The renewal may or may not have been written: read the lease before the next try.
      current = undefined;
      logger.warn({ err: error, lease: name }, "lease not renewed, will try again");
    }
  }
}

/** Ends the term when the last renewal is too old, even while a request hangs. */
async function expire(options: LeaseOptions, term: Term): Promise<void> {
  const { clock, name, renewDeadlineMs } = options;
  while (!term.ended.aborted) {
    const leftMs = term.held.renewedAt + renewDeadlineMs - clock.monotonic();
    if (leftMs <= 0)
      return term.lose(new LeaseLostError(`lease ${name} was not renewed for ${renewDeadlineMs / 1000} s`));
    await clock.sleep(leftMs, term.ended).catch(() => undefined);
  }
}

/**
 * Gives the lease back, so that the next candidate need not wait. If this fails, the next candidate waits until it
 * expires.
 */
async function release(client: KubeClient, options: LeaseOptions, lease: Lease): Promise<void> {
  const spec = { ...lease.spec, holderIdentity: undefined, renewTime: microTime(options.clock.now()) };
  try {
    await client.replace(leases, { ...lease, spec }, { timeoutMs: options.retryMs });
    options.logger.info({ lease: options.name, identity: options.identity }, "lease released");
  } catch (error) {
    options.logger.warn({ err: error, lease: options.name }, "lease not released, it will expire");
  }
}

async function read(client: KubeClient, options: LeaseOptions, signal?: AbortSignal): Promise<Lease | undefined> {
  const { namespace, name, renewDeadlineMs } = options;
  return await findObject(client, leases, { namespace, name }, { signal, timeoutMs: renewDeadlineMs / 2 });
}

/** Writes this candidate into the lease as its holder; creates the lease if there is none. */
async function write(
  client: KubeClient,
  options: LeaseOptions,
  lease: Lease | undefined,
  signal?: AbortSignal,
): Promise<Lease> {
  const { namespace, name, identity, durationMs, renewDeadlineMs, clock } = options;
  const now = microTime(clock.now());
  const ours = lease?.spec?.holderIdentity === identity;
  const spec = {
    ...lease?.spec,
    holderIdentity: identity,
    leaseDurationSeconds: Math.ceil(durationMs / 1000),
    acquireTime: ours ? lease.spec?.acquireTime : now,
    renewTime: now,
    leaseTransitions: (lease?.spec?.leaseTransitions ?? 0) + (ours || lease === undefined ? 0 : 1),
  };
  const call = { signal, timeoutMs: renewDeadlineMs / 2 };
  if (lease === undefined) return await client.create(leases, { metadata: { namespace, name }, spec }, call);
  return await client.replace(leases, { ...lease, spec }, call);
}

/** meta/v1 MicroTime wants exactly six digits of a second. */
function microTime(date: Date): string {
  return date.toISOString().replace("Z", "000Z");
}
