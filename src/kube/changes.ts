import { type KubeObject, keyOf } from "./metadata.ts";

/** One step in the life of an object; `deleted` has its last known state. */
export interface Change<T> {
  readonly type: "added" | "modified" | "deleted";
  readonly object: T;
}

/**
 * Brings `known` (objects by key) up to date with a new list, and yields the changes in between. An object that was
 * deleted and created again under the same name yields both.
 *
 * @param unreadable keys of objects that are in the list but did not parse: their known state stays
 */
export function* differences<T extends KubeObject>(
  known: Map<string, T>,
  listed: readonly T[],
  unreadable: ReadonlySet<string>,
): Generator<Change<T>> {
  const present = new Set(listed.map(keyOf));
  for (const [key, object] of known) {
    if (present.has(key) || unreadable.has(key)) continue;
    known.delete(key);
    yield { type: "deleted", object };
  }
  for (const object of listed) {
    if (known.get(keyOf(object))?.metadata.resourceVersion === object.metadata.resourceVersion) continue;
    yield* changes(known, "MODIFIED", object);
  }
}

/** Applies one event of a watch to `known`, and yields the changes that this makes. */
export function* changes<T extends KubeObject>(known: Map<string, T>, event: string, object: T): Generator<Change<T>> {
  const key = keyOf(object);
  const before = known.get(key);
  if (event === "DELETED") {
    known.delete(key);
    if (before !== undefined) yield { type: "deleted", object };
    return;
  }
  const replaced = before !== undefined && before.metadata.uid !== object.metadata.uid;
  if (replaced) yield { type: "deleted", object: before };
  known.set(key, object);
  yield { type: before === undefined || replaced ? "added" : "modified", object };
}
