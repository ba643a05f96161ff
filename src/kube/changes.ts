import { type KubeObject, keyOf } from "./metadata.ts";

/** One step in the life of an object; `deleted` carries its last known state. */
export interface Change<T> {
  readonly type: "added" | "modified" | "deleted";
  readonly object: T;
}

/**
 * Brings `known` (objects by key) up to a fresh list and tells the steps between: what happened while nobody looked. An
 * object that was deleted and made again under the same name is told as both.
 *
 * @param unreadable keys of objects that are in the list but did not parse: what is known of them stays
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

/** Applies one event of a watch to `known` and tells what it means, seen from there. */
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
