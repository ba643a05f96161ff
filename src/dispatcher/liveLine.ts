import { setImmediate as nextTurn } from "node:timers/promises";
import type { Logger } from "pino";
import { isVeleroOperation, type Operation, type VeleroOperation } from "../api/operation.ts";
import { ConditionType } from "../api/reasons.ts";
import { conditionOf } from "../api/status.ts";
import { concurrentBackups, VELERO_DEPLOYMENT } from "../api/velero.ts";
import type { Clock } from "../kube/clock.ts";
import { keyOf } from "../kube/metadata.ts";
import { Notifier } from "../kube/notifier.ts";
import type { WorkQueue } from "../kube/queue.ts";
import type { Deployment } from "../kube/resources.ts";
import { entrantOf, placeText, waiting } from "./admission/entrants.ts";
import type { Entrant } from "./line/entrant.ts";
import { type Capacity, type Limits, Line, type Place } from "./line/line.ts";
import type { Settings } from "./settings.ts";
import type { Caches } from "./state/caches.ts";
import { isOpen } from "./state/operationState.ts";
import type { World } from "./state/world.ts";
import type { WritesInFlight } from "./state/writesInFlight.ts";

export interface LiveLineParts {
  readonly limits: Limits;
  readonly capacity: Capacity;
  /** The world in which Operations are judged. Called only after everything has been constructed. */
  readonly world: () => World;
  /** The Operation with that key (or that UID), including its write in flight. */
  readonly operation: (key: string) => Operation | undefined;
  readonly operationByUid: (uid: string) => Operation | undefined;
  /** Asks for a decision on an Operation. */
  readonly decide: (key: string, options: { readonly urgent: boolean }) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** For how many milliseconds Operations are judged before watches, probes and the Lease get their turn. */
const SLICE_MS = 10;
/** Positions are counted and reported at most this often. */
const TELL_MS = 3_000;
/** How many positions are reported at once: with thousands in line, each Operation that ends moves all of them. */
const MAX_TOLD = 100;

/**
 * Keeps the line up to date as the watches and the dispatcher's own writes move it. Each change of an Operation has it judged again.
 * The dispatcher decides at once on those whose turn it then is, and updates the positions of the others every few seconds.
 */
export class LiveLine {
  readonly #parts: LiveLineParts;
  readonly #line: Line;
  /** Keys of the Operations to judge again; and namespaces in which work of deleted Operations may have changed. */
  readonly #stale = new Set<string>();
  readonly #staleNamespaces = new Set<string>();
  /** Namespaces in which a place may have changed, so that the Operations at the front need a new message. */
  readonly #moved = new Set<string>();
  /** UIDs of the Operations that were called because it is their turn, and have not found since that it is not. */
  readonly #called = new Set<string>();
  /** UIDs of the Operations that could not use their turn: they stand aside until the dispatcher tries them again. */
  readonly #aside = new Set<string>();
  readonly #news: Notifier;

  constructor(parts: LiveLineParts) {
    this.#parts = parts;
    this.#news = new Notifier(parts.clock);
    this.#line = new Line(parts.limits, parts.capacity);
  }

  /** Has an Operation judged again before the next decision. */
  touch(key: string): void {
    this.#stale.add(key);
    this.poke();
  }

  /** Takes over a change of an Operation from the watch. */
  note(key: string, current: Operation | undefined, previous: Operation | undefined): void {
    if (previous !== undefined && previous.metadata.uid !== current?.metadata.uid) {
      this.#leave(previous.metadata.uid);
      this.#aside.delete(previous.metadata.uid);
    }
    if (current === undefined) this.#stale.delete(key);
    if (current === undefined || !isVeleroOperation(current)) return;
    this.#aside.delete(current.metadata.uid);
    const admittedAt = Date.parse(current.status?.startedAt ?? "");
    if (!Number.isNaN(admittedAt)) this.#line.served(current.metadata.namespace, admittedAt);
    if (isOpen(current)) this.touch(key);
    else this.#leave(current.metadata.uid);
  }

  /** Looks again at what deleted Operations have left at work in a namespace. */
  touchNamespace(namespace: string): void {
    this.#staleNamespaces.add(namespace);
    this.poke();
  }

  /** Wakes {@link run}, also for news that change no place but messages, such as what Velero works on. */
  poke(): void {
    this.#news.notify();
  }

  set capacity(capacity: Capacity) {
    this.#line.capacity = capacity;
    this.poke();
  }

  /** The Operation could not use its turn, so others may have it, until the Operation is tried again or changes. */
  setAside({ metadata }: VeleroOperation): void {
    this.#aside.add(metadata.uid);
    this.touch(keyOf({ metadata }));
  }

  /** Lets an Operation in again that stood aside, because it is tried again. */
  judgeAnew({ metadata }: VeleroOperation): void {
    this.#aside.delete(metadata.uid);
    this.#stale.add(keyOf({ metadata }));
  }

  /** Whether all Operations have been judged since their last change. */
  get isUpToDate(): boolean {
    return this.#stale.size === 0 && this.#staleNamespaces.size === 0;
  }

  /** Judges all Operations that need it. Other work gets its turn in between, and may add more of them. */
  async judge(): Promise<void> {
    const { clock, logger } = this.#parts;
    let began = clock.monotonic();
    for (const set of [this.#stale, this.#staleNamespaces]) {
      for (const each of set) {
        set.delete(each);
        try {
          if (set === this.#stale) this.#judge(each);
          else this.#judgeLeft(each);
        } catch (error) {
          // One Operation that cannot be judged must not stop the others.
          logger.error({ err: error, object: each }, "cannot work out the place of an Operation");
        }
        if (clock.monotonic() - began < SLICE_MS) continue;
        await nextTurn();
        began = clock.monotonic();
      }
    }
  }

  /** The place of an Operation that passes its own checks. Only valid while everything {@link isUpToDate}. */
  placeOf(operation: VeleroOperation): Place {
    const { uid } = operation.metadata;
    const entrant = this.#line.entrant(uid);
    // It holds its place by a write of its own that got no answer: trying that again must not cost it the place.
    if (entrant?.state === "underWay") return { kind: "free" };
    // An Operation that asks is in line, even if the others need not wait for it.
    if (entrant === undefined) this.#line.set(waiting(operation));
    const place = this.#line.place(uid) ?? { kind: "free" };
    if (place.kind !== "free") this.#called.delete(uid);
    return place;
  }

  /** Calls the Operations whose turn it is, at every change, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const stop = () => this.poke();
    signal.addEventListener("abort", stop);
    let tellAt = clock.monotonic();
    let hasNews = true;
    while (!signal.aborted) {
      await this.#news.notified(hasNews ? tellAt - clock.monotonic() : undefined);
      // Changes that arrive together are judged together.
      await nextTurn();
      await this.judge();
      this.#call();
      hasNews = true;
      if (clock.monotonic() < tellAt) continue;
      hasNews = await this.#tell();
      tellAt = clock.monotonic() + TELL_MS;
    }
    signal.removeEventListener("abort", stop);
  }

  #judge(key: string): void {
    const operation = this.#parts.operation(key);
    if (operation === undefined || !isVeleroOperation(operation)) return;
    const { uid, namespace } = operation.metadata;
    const entrant = entrantOf(operation, this.#parts.world());
    const isIn = entrant !== undefined && !(entrant.state === "waiting" && this.#aside.has(uid));
    if (isIn ? this.#line.set(entrant) : this.#line.remove(uid)) this.#moved.add(namespace);
  }

  #judgeLeft(namespace: string): void {
    this.#line.setOrphanedWork(namespace, this.#parts.world().orphanedWork(namespace));
    this.#moved.add(namespace);
  }

  #leave(uid: string): void {
    const entrant = this.#line.entrant(uid);
    if (entrant === undefined) return;
    this.#line.remove(uid);
    this.#moved.add(entrant.namespace);
    this.poke();
  }

  #call(): void {
    const free = this.#line.free();
    for (const uid of this.#called) if (!free.has(uid)) this.#called.delete(uid);
    for (const uid of free) {
      if (this.#called.has(uid)) continue;
      this.#called.add(uid);
      this.#decide(uid, { urgent: true });
    }
    for (const namespace of this.#moved) {
      for (const entrant of this.#line.front(namespace)) this.#tellAnew(entrant);
    }
    this.#moved.clear();
  }

  /** @returns whether more positions need an update */
  async #tell(): Promise<boolean> {
    const { clock } = this.#parts;
    let told = 0;
    let began = clock.monotonic();
    const positions = [...this.#line.count()].map((uid) => this.#line.entrant(uid));
    for (const entrant of [...positions, ...this.#line.waiting()]) {
      if (entrant !== undefined && this.#tellAnew(entrant)) told += 1;
      if (told >= MAX_TOLD) return true;
      if (clock.monotonic() - began < SLICE_MS) continue;
      await nextTurn();
      began = clock.monotonic();
    }
    return false;
  }

  /** Asks for a decision if the status does not say the Operation's place. @returns whether it asked */
  #tellAnew({ uid, type }: Entrant): boolean {
    const place = this.#line.place(uid);
    if (place === undefined || place.kind === "free") return false;
    const status = this.#parts.operationByUid(uid)?.status;
    const told = conditionOf(status, place.kind === "queued" ? ConditionType.running : ConditionType.blocked);
    if (told?.message === placeText({ type }, place, this.#parts.world())) return false;
    this.#decide(uid, { urgent: false });
    return true;
  }

  #decide(uid: string, how: { readonly urgent: boolean }): void {
    const operation = this.#parts.operationByUid(uid);
    if (operation !== undefined) this.#parts.decide(keyOf(operation), how);
  }
}

export interface LineParts {
  readonly caches: Pick<Caches, "operations" | "veleroServer">;
  readonly writesInFlight: WritesInFlight;
  readonly world: () => World;
  readonly queue: Pick<WorkQueue, "add">;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The line as the caches have it, with as much room as Velero has. */
export function openLine({ caches, writesInFlight, world, queue, settings, clock, logger }: LineParts): LiveLine {
  const capacity = () =>
    veleroCapacity(settings, caches.veleroServer.get(`${settings.veleroNamespace}/${VELERO_DEPLOYMENT}`));
  const line = new LiveLine({
    limits: settings.limits,
    capacity: capacity(),
    world,
    operation: (key) => {
      const operation = caches.operations.get(key);
      return operation && writesInFlight.current(operation);
    },
    operationByUid: (uid) => world().operation(uid),
    decide: (key, how) => queue.add(key, how),
    clock,
    logger,
  });
  caches.veleroServer.onChange(() => {
    line.capacity = capacity();
  });
  return line;
}

/** What Velero works on at once, and one that is next. docs/velero-facts.md#veleros-own-queue, docs/contract.md#queue. */
function veleroCapacity({ limits }: Settings, server: Deployment | undefined): Capacity {
  const backups =
    limits.concurrentBackups > 0 ? limits.concurrentBackups : ((server && concurrentBackups(server)) ?? 1);
  return { Backup: backups, nextBackups: 1, Restore: 2 };
}
