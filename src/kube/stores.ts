import type { ChangeListener, ResourceCache } from "./cache.ts";
import type { KubeObject } from "./metadata.ts";

/** Objects of one kind as the API server last reported them, from one cache or from several. */
export interface Store<T extends KubeObject> {
  /** @param key `namespace/name`, or the name alone */
  get(key: string): T | undefined;
  values(): Iterable<T>;
  onChange(listener: ChangeListener<T>): void;
}

/** Several caches of one kind, for different namespaces, as one store. */
export class JoinedStore<T extends KubeObject> implements Store<T> {
  readonly #parts: readonly ResourceCache<T>[];

  constructor(parts: readonly ResourceCache<T>[]) {
    this.#parts = parts;
  }

  get(key: string): T | undefined {
    for (const part of this.#parts) {
      const found = part.get(key);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  *values(): Iterable<T> {
    for (const part of this.#parts) yield* part.values();
  }

  onChange(listener: ChangeListener<T>): void {
    for (const part of this.#parts) part.onChange(listener);
  }
}

/** Finds the objects of a store by something other than their name. */
export class Index<T extends KubeObject> {
  readonly #found = new Map<string, Map<string, T>>();

  /** @param termsOf the terms by which an object can be found */
  constructor(store: Pick<Store<T>, "onChange">, termsOf: (object: T) => readonly string[]) {
    store.onChange((key, current, previous) => {
      for (const term of previous === undefined ? [] : termsOf(previous)) this.#remove(term, key);
      for (const term of current === undefined ? [] : termsOf(current)) this.#add(term, key, current);
    });
  }

  get(term: string): readonly T[] {
    return [...(this.#found.get(term)?.values() ?? [])];
  }

  /** All objects that have a term, once for each of their terms. */
  *values(): Iterable<T> {
    for (const objects of this.#found.values()) yield* objects.values();
  }

  #add(term: string, key: string, object: T | undefined): void {
    const objects = this.#found.get(term) ?? new Map<string, T>();
    this.#found.set(term, objects);
    if (object !== undefined) objects.set(key, object);
  }

  #remove(term: string, key: string): void {
    const objects = this.#found.get(term);
    objects?.delete(key);
    if (objects?.size === 0) this.#found.delete(term);
  }
}
