import { expect, test } from "vitest";
import type { ChangeListener } from "../../../src/kube/cache.ts";
import type { KubeObject } from "../../../src/kube/metadata.ts";
import { Index } from "../../../src/kube/stores.ts";

function object(name: string, team?: string): KubeObject {
  const labels = team === undefined ? {} : { team };
  const metadata = { name, labels, uid: name, resourceVersion: "1", creationTimestamp: "2026-11-22T10:00:00Z" };
  return { apiVersion: "v1", kind: "ConfigMap", metadata };
}

test("objects are found by their terms, as these come, change and go", () => {
  let tell: ChangeListener<KubeObject> = () => undefined;
  const store = {
    onChange(listener: ChangeListener<KubeObject>) {
      tell = listener;
    },
  };
  const byTeam = new Index(store, ({ metadata }) =>
    metadata.labels?.team === undefined ? [] : [metadata.labels.team],
  );
  const [a, b, moved, unlabelled] = [object("a", "x"), object("b", "x"), object("a", "y"), object("a")];

  tell("a", a, undefined);
  tell("b", b, undefined);
  expect(byTeam.get("x")).toEqual([a, b]);
  tell("a", moved, a);
  expect(byTeam.get("x")).toEqual([b]);
  expect(byTeam.get("y")).toEqual([moved]);
  tell("a", unlabelled, moved);
  tell("b", undefined, b);
  expect([...byTeam.values()]).toEqual([]);
});
