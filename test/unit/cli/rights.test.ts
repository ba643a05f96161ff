import { describe, expect, test } from "vitest";
import { allows, type Deed, type ResourceRule } from "../../../src/cli/rights.ts";

const secrets = { group: "", plural: "secrets" };
const list: Deed = { verb: "list", resource: secrets, namespace: "team" };
const get: Deed = { verb: "get", resource: secrets, namespace: "team", name: "token" };
const log: Deed = { verb: "get", resource: { group: "", plural: "pods" }, subresource: "log", namespace: "team" };

function rule(change: Partial<ResourceRule>): ResourceRule {
  return { verbs: ["get", "list"], apiGroups: [""], resources: ["secrets"], ...change };
}

describe("what a rule allows", () => {
  test.each<[string, Deed, Partial<ResourceRule>, boolean]>([
    ["what it names", list, {}, true],
    ["all, by asterisks", list, { verbs: ["*"], apiGroups: ["*"], resources: ["*"] }, true],
    ["no other verb", list, { verbs: ["get"] }, false],
    ["no other group", list, { apiGroups: ["apps"] }, false],
    ["no other resource", list, { resources: ["configmaps"] }, false],
    ["the object that it names", get, { resourceNames: ["token"] }, true],
    ["no other object", get, { resourceNames: ["other"] }, false],
    ["no list, where it names objects", list, { resourceNames: ["token"] }, false],
    ["no subresource with the resource", log, { resources: ["pods"] }, false],
    ["a subresource by its name", log, { resources: ["pods/log"] }, true],
    ["a subresource of any resource", log, { resources: ["*/log"] }, true],
    ["nothing of resources, where it is about URLs", list, { apiGroups: null, resources: null }, false],
  ])("%s", (_, deed, change, expected) => {
    expect(allows(rule(change), deed)).toBe(expected);
  });
});
