import { expect, test } from "vitest";
import { DEFAULT_PLATFORM_EXCLUSIONS, leftOutAs, platformExclusions } from "../../../src/api/platformExclusions.ts";

const resources = platformExclusions([...DEFAULT_PLATFORM_EXCLUSIONS, "networkpolicies.networking.k8s.io"]);

test.each([
  ["resourcequotas", "resourcequotas"],
  ["resourcequota", "resourcequotas"],
  ["quota", "resourcequotas"],
  ["ResourceQuota", "resourcequotas"],
  ["Endpointslices.discovery.k8s.io", "endpointslices.discovery.k8s.io"],
  ["limits", "limitranges"],
  ["ep", "endpoints"],
  ["endpointslice", "endpointslices.discovery.k8s.io"],
  ["endpointslices.discovery.k8s.io", "endpointslices.discovery.k8s.io"],
  ["endpointslices.discovery", "endpointslices.discovery.k8s.io"],
  ["op", "operations.ops.vworkspace.io"],
  ["networkpolicy", "networkpolicies.networking.k8s.io"],
])("%s is known as %s, as Velero knows it", (name, resource) => {
  expect(leftOutAs(name, resources)).toBe(resource);
});

test.each(["*", "configmaps", "endpoints.example.com", "endpointslices.example.com", "constructor", "limit"])(
  "%s is none of them",
  (name) => {
    expect(leftOutAs(name, resources)).toBeUndefined();
  },
);
