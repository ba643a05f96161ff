import { describe, expect, test } from "vitest";
import { parseDiscovery } from "../../../../src/kube/discovery.ts";
import {
  groupResource,
  nameable,
  nearestResource,
  resolveResource,
} from "../../../../src/runner/object/resourceNames.ts";

const VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"];

function resource(name: string, kind: string, singularResource: string, more: object = {}) {
  return { resource: name, responseKind: { kind }, scope: "Namespaced", singularResource, verbs: VERBS, ...more };
}

function group(name: string, resources: object[], more: object = {}) {
  return { metadata: name === "" ? {} : { name }, versions: [{ version: "v1", resources, ...more }] };
}

/** As an API server answers for `/api` and `/apis`. */
const served = parseDiscovery([
  {
    kind: "APIGroupDiscoveryList",
    items: [
      group("", [
        resource("configmaps", "ConfigMap", "configmap", { shortNames: ["cm"] }),
        resource("endpoints", "Endpoints", "endpoints", { shortNames: ["ep"] }),
        resource("events", "Event", "event", { shortNames: ["ev"] }),
        resource("bindings", "Binding", "binding", { verbs: ["create"] }),
      ]),
    ],
  },
  {
    kind: "APIGroupDiscoveryList",
    items: [
      group("apps", [resource("deployments", "Deployment", "deployment", { shortNames: ["deploy"] })]),
      group("events.k8s.io", [resource("events", "Event", "event", { shortNames: ["ev"] })]),
      {
        metadata: { name: "example.org" },
        versions: [
          { version: "v2", resources: [resource("widgets", "Widget", "", { shortNames: ["wd"] })] },
          { version: "v1", resources: [resource("widgets", "Widget", "widget"), resource("gizmos", "Gizmo", "gizmo")] },
        ],
      },
    ],
  },
]);
const kinds = nameable(served);

describe("a name is what Velero takes it for:", () => {
  test.each([
    ["configmaps", "configmaps"],
    ["configmap", "configmaps"],
    ["ConfigMap", "configmaps"],
    ["CONFIGMAPS", "configmaps"],
    ["cm", "configmaps"],
    ["endpoints", "endpoints"],
    ["deployments.apps", "deployments.apps"],
    ["Deployment.apps", "deployments.apps"],
    ["deploy", "deployments.apps"],
    ["deploy.apps", "deployments.apps"],
    // Of two groups the server prefers the core.
    ["events", "events"],
    ["ev", "events"],
    ["events.events.k8s.io", "events.events.k8s.io"],
    ["ev.events.k8s.io", "events.events.k8s.io"],
    // The beginning of a group will do.
    ["events.events", "events.events.k8s.io"],
    ["widget", "widgets.example.org"],
    ["wd", "widgets.example.org"],
    // Only an older version has it.
    ["gizmos.example.org", "gizmos.example.org"],
  ])("%s is %s", (name, expected) => {
    const kind = resolveResource(name, kinds);
    expect(kind && groupResource(kind)).toBe(expected);
  });

  test.each([
    "configmapz",
    // Short names and groups have to be written as they are.
    "CM",
    "deployments.Apps",
    "deployments.extensions",
    "configmaps.apps",
    // Nothing that could be read and made again.
    "bindings",
    "constructor",
  ])("%s is nothing", (name) => {
    expect(resolveResource(name, kinds)).toBeUndefined();
  });
});

describe("what may have been meant", () => {
  test.each([
    ["configmapz", "configmaps"],
    ["confgmap", "configmaps"],
    ["CM", "configmaps"],
    ["deployment.app", "deployments.apps"],
    ["widgetts.example.org", "widgets.example.org"],
    ["persistentvolumes", undefined],
    ["x", undefined],
    ["x".repeat(253), undefined],
  ])("by %s: %s", (name, expected) => {
    expect(nearestResource(name, kinds)).toBe(expected);
  });
});

describe("what the API server tells", () => {
  test("is not all when the server of a group does not answer", () => {
    expect(served.complete).toBe(true);
    const stale = group("metrics.k8s.io", [], { freshness: "Stale" });
    expect(parseDiscovery([{ kind: "APIGroupDiscoveryList", items: [stale] }]).complete).toBe(false);
  });

  test("of an older kind is no answer", () => {
    expect(() => parseDiscovery([{ kind: "APIGroupList", groups: [] }])).toThrow();
  });
});
