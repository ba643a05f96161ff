import type { Logger } from "pino";
import type { KubeClient } from "./client.ts";
import type { Clock } from "./clock.ts";
import { isAlreadyExists, isConflict, isNotFound } from "./errors.ts";
import { type Lease, leases } from "./resources.ts";

export interface LeaseOptions {
  readonly namespace: string;
  readonly name: string;
  /** Names this candidate, and no other that may live at the same time: the pod's name and uid do. */
  readonly identity: string;
  /** How long others wait after the last sign of life before they take over, in milliseconds. Whole seconds. */
  readonly durationMs: number;
  /** How long the holder goes on without a successful renewal, in milliseconds. Shorter than durationMs. */
  readonly renewDeadlineMs: number;
  /** Between two renewals, or two looks at another's lease, in milliseconds. */
  readonly retryMs: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The lease is another's, or could not be renewed in time: whatever was done under it must have stopped. */
export class LeaseLostError extends Error {
  override readonly name = "LeaseLostError";
}

/** A lease that is ours, and when we asked for it: others count from a later moment. */
interface Held {
  readonly lease: Lease;
  readonly renewedAt: number;
}

/** The time for which we hold the lease. */
interface Term {
  held: Held;
  /** Aborts when the lease is needed no more. */
  readonly ended: AbortSignal;
  readonly lost: AbortSignal;
  readonly lose: (error: LeaseLostError) => void;
}

/**
 * Waits until the lease (coordination.k8s.io/v1) is ours, does the work while renewing it, and gives it back at once when
 * the work is done. The work's signal aborts when options.signal does, and when the lease is lost: at the latest
 * renewDeadlineMs after the last renewal was *sent*, and so before anybody else, who waits durationMs after having *seen*
 * it, can take over. No two clocks are ever compared: each side measures on its own monotonic one.
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
  // Renewed until the work has really ended, which may be a while after it was asked to.
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
      logger.debug({ lease: name, holder: lease.spec?.holderIdentity }, "lease is held by another");
    } catch (error) {
      signal.throwIfAborted();
      // Another candidate was quicker: that is what the lease is for.
      if (!isConflict(error) && !isAlreadyExists(error)) logger.warn({ err: error, lease: name }, "lease not acquired");
    }
    await clock.sleep(options.retryMs, signal);
  }
}

/** Whether a lease may be taken that nobody has touched for `untouchedMs`, as far as was seen from here. */
function isFree(lease: Lease, identity: string, untouchedMs: number, defaultDurationMs: number): boolean {
  const holder = lease.spec?.holderIdentity ?? "";
  if (holder === "" || holder === identity) return true;
  const seconds = lease.spec?.leaseDurationSeconds;
  return untouchedMs >= (typeof seconds === "number" ? seconds * 1000 : defaultDurationMs);
}

/** Renews until the work has ended or the lease turns out to be another's. */
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
      // Unknown whether it was written: look before the next try.
      current = undefined;
      logger.warn({ err: error, lease: name }, "lease not renewed, will try again");
    }
  }
}

/** Ends the term when the last renewal is too old, however long a request may hang. */
async function expire(options: LeaseOptions, term: Term): Promise<void> {
  const { clock, name, renewDeadlineMs } = options;
  while (!term.ended.aborted) {
    const leftMs = term.held.renewedAt + renewDeadlineMs - clock.monotonic();
    if (leftMs <= 0)
      return term.lose(new LeaseLostError(`lease ${name} was not renewed for ${renewDeadlineMs / 1000} s`));
    await clock.sleep(leftMs, term.ended).catch(() => undefined);
  }
}

/** Hands the lease back, so that the next one need not wait. Failing that, it waits. */
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
  try {
    return await client.get(leases, { namespace, name }, { signal, timeoutMs: renewDeadlineMs / 2 });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Writes us down as the holder, now; into a new lease when there is none. */
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
