import { setImmediate as nextTurn } from "node:timers/promises";
import { isVeleroOperation, type Operation, type VeleroOperation } from "../api/operation.ts";
import { ConditionType } from "../api/reasons.ts";
import { conditionOf } from "../api/status.ts";
import type { Clock } from "../kube/clock.ts";
import { keyOf } from "../kube/metadata.ts";
import { entrantOf, placeText, waiting } from "./admission/line.ts";
import type { Entrant } from "./line/entrant.ts";
import { type Capacity, type Limits, Line, type Place } from "./line/line.ts";
import { isOpen } from "./state/operationState.ts";
import type { World } from "./state/world.ts";

export interface LiveLineParts {
  readonly limits: Limits;
  readonly capacity: Capacity;
  /** The world that Operations are judged in; asked for once everything is put together. */
  readonly world: () => World;
  /** The Operation of that key, or of that uid, as it is or will be once what is being written shows. */
  readonly operation: (key: string) => Operation | undefined;
  readonly operationByUid: (uid: string) => Operation | undefined;
  /** Asks for a decision on an Operation. */
  readonly decide: (key: string, options: { readonly urgent: boolean }) => void;
  readonly clock: Clock;
}

/** So long, in milliseconds, everybody may be judged before everything else has its turn: watches, probes, the Lease. */
const SLICE_MS = 10;
/** Positions are counted and told anew not more often than this. */
const TELL_MS = 3_000;
/** As many are told anew at once: with thousands in line, each one that ends changes what is true for all of them. */
const MAX_TOLD = 100;

/**
 * The line as the watches and our own writes move it. What happens to an Operation has it judged anew; from what changes by
 * that follows whose turn it is, and these are decided upon at once. Where the others stand is told them now and then.
 */
export class LiveLine {
  readonly #parts: LiveLineParts;
  readonly #line: Line;
  /** Keys of the Operations, and namespaces with what is left at work in them, to be looked at anew. */
  readonly #stale = new Set<string>();
  readonly #staleNamespaces = new Set<string>();
  /** Namespaces in which somebody's place may have changed, and who is at the front is to be told. */
  readonly #moved = new Set<string>();
  /** Uids of those who were told that it is their turn, and have not asked since and found that it is not. */
  readonly #called = new Set<string>();
  /** Uids of those whose turn came to nothing: they stand aside until they are tried again. */
  readonly #aside = new Set<string>();
  #news = Promise.withResolvers<void>();

  constructor(parts: LiveLineParts) {
    this.#parts = parts;
    this.#line = new Line(parts.limits, parts.capacity);
  }

  /** Has an Operation judged anew before anybody is decided upon. */
  touch(key: string): void {
    this.#stale.add(key);
    this.poke();
  }

  /** Takes note of an Operation as the watch tells it. */
  note(key: string, current: Operation | undefined, previous: Operation | undefined): void {
    if (previous !== undefined && previous.metadata.uid !== current?.metadata.uid) {
      this.#leave(previous.metadata.uid);
      this.#aside.delete(previous.metadata.uid);
    }
    if (current === undefined || !isVeleroOperation(current)) return;
    this.#aside.delete(current.metadata.uid);
    const admittedAt = Date.parse(current.status?.startedAt ?? "");
    if (!Number.isNaN(admittedAt)) this.#line.served(current.metadata.namespace, admittedAt);
    if (isOpen(current)) this.touch(key);
    else this.#leave(current.metadata.uid);
  }

  /** Has what deleted Operations have left at work in a namespace looked at anew. */
  touchNamespace(namespace: string): void {
    this.#staleNamespaces.add(namespace);
    this.poke();
  }

  /** Something is to be told that changes nobody's place, such as what Velero is at. */
  poke(): void {
    this.#news.resolve();
  }

  set capacity(capacity: Capacity) {
    this.#line.capacity = capacity;
    this.poke();
  }

  /** Its turn came to nothing, so it must not keep it from others. It has it again when it is tried again, or changes. */
  setAside({ metadata }: VeleroOperation): void {
    if (this.#line.entrant(metadata.uid)?.state !== "waiting") return;
    this.#aside.add(metadata.uid);
    this.touch(keyOf({ metadata }));
  }

  /** It is tried again. */
  readmit({ metadata }: VeleroOperation): void {
    this.#aside.delete(metadata.uid);
    this.#stale.add(keyOf({ metadata }));
  }

  /** Whether everybody is judged as they are now. */
  get isUpToDate(): boolean {
    return this.#stale.size === 0 && this.#staleNamespaces.size === 0;
  }

  /** Judges everybody who is to be judged; everything else has its turn meanwhile, and may add more. */
  async judge(): Promise<void> {
    const { clock } = this.#parts;
    let began = clock.monotonic();
    for (const set of [this.#stale, this.#staleNamespaces]) {
      for (const each of set) {
        set.delete(each);
        if (set === this.#stale) this.#judge(each);
        else this.#judgeLeft(each);
        if (clock.monotonic() - began < SLICE_MS) continue;
        await nextTurn();
        began = clock.monotonic();
      }
    }
  }

  /** Where an Operation stands that is itself ready to run. To be asked when everything {@link isUpToDate}. */
  placeOf(operation: VeleroOperation): Place {
    const { uid } = operation.metadata;
    // Whoever asks is in line, also one that the others need not wait for.
    if (this.#line.entrant(uid)?.state !== "waiting") this.#line.set(waiting(operation));
    const place = this.#line.place(uid) ?? { kind: "free" };
    if (place.kind !== "free") this.#called.delete(uid);
    return place;
  }

  /** Calls those whose turn it is, whenever that changes, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const stop = () => this.poke();
    signal.addEventListener("abort", stop);
    let tellAt = clock.monotonic();
    let hasNews = true;
    while (!signal.aborted) {
      await this.#idle(hasNews ? tellAt - clock.monotonic() : undefined);
      this.#news = Promise.withResolvers<void>();
      // What comes in the same turn is worked out at once.
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

  async #idle(waitMs: number | undefined): Promise<void> {
    if (waitMs === undefined) return await this.#news.promise;
    const timer = new AbortController();
    const due = this.#parts.clock.sleep(Math.max(0, waitMs), timer.signal).catch(() => undefined);
    await Promise.race([due, this.#news.promise]);
    timer.abort();
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
    this.#line.setLeft(namespace, this.#parts.world().orphanedWork(namespace));
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

  /** @returns whether there is more to be told */
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

  /** @returns whether its status does not say where it stands, and so is to be written anew */
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
