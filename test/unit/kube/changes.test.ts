import fc from "fast-check";
import { expect, test } from "vitest";
import { changes, differences } from "../../../src/kube/changes.ts";
import type { KubeObject } from "../../../src/kube/metadata.ts";
import { configMap } from "./loopback.ts";

/** Any set of objects: few names, so that sets overlap; uid and version vary. */
const objects = fc
  .uniqueArray(fc.record({ name: fc.constantFrom("a", "b", "c", "d"), uid: fc.nat(1), version: fc.nat(2) }), {
    selector: ({ name }) => name,
  })
  .map((all) =>
    all.map(({ name, uid, version }) => {
      const object = configMap(name, `${uid}-${version}`);
      object.metadata.uid = String(uid);
      return object;
    }),
  );

const byName = (all: Iterable<KubeObject>) =>
  Object.fromEntries([...all].map((object) => [object.metadata.name, object]));

test("replaying the differences turns the old state into the new, and never skips a deletion", () => {
  fc.assert(
    fc.property(objects, objects, (before, after) => {
      const known = new Map<string, KubeObject>(before.map((object) => [`org-a/${object.metadata.name}`, object]));
      const replayed: Record<string, KubeObject> = byName(before);
      for (const { type, object } of differences(known, after, new Set())) {
        const { name, uid } = object.metadata;
        const old = replayed[name];
        if (type === "deleted") {
          expect(old?.metadata.uid).toBe(uid);
          delete replayed[name];
        } else {
          expect(old?.metadata.uid).toBe(type === "added" ? undefined : uid);
          replayed[name] = object;
        }
      }
      expect(replayed).toEqual(byName(after));
      expect(byName(known.values())).toEqual(byName(after));
    }),
  );
});

test("what did not change is not told again", () => {
  const known = new Map<string, KubeObject>();
  expect([...differences(known, [configMap("a", 1)], new Set())]).toHaveLength(1);
  expect([...differences(known, [configMap("a", 1)], new Set())]).toEqual([]);
});

test("the deletion of something never seen is not told", () => {
  expect([...changes(new Map(), "DELETED", configMap("a", 1))]).toEqual([]);
});
