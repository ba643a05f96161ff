import { describe, expect, test } from "vitest";
import type { VeleroOperation } from "../../../src/api/operation.ts";
import { ASKS, judgeAdmission, type SeenWorld } from "../../../src/cli/admission.ts";
import { CHECKS } from "../../../src/dispatcher/admission/checks.ts";
import { settingsSchema } from "../../../src/dispatcher/settings.ts";
import { parseTemplates } from "../../../src/dispatcher/templates/parseTemplates.ts";
import { backupOperation } from "../dispatcher/sampleOperation.ts";

const restore = (parameters: Record<string, unknown> = { backupName: "daily" }): VeleroOperation => {
  const sample = backupOperation({ type: "Restore" });
  return { ...sample, spec: { ...sample.spec, parameters } };
};
const seen = <T>(value: T) => ({ ok: true, value }) as const;
const unseen = (why: string) => ({ ok: false, why }) as const;
const settings = (change: object = {}) => seen(settingsSchema.parse(change));

/** Everything is to be seen, and as it should be. But for the template, which is not made here. */
const all: SeenWorld = {
  now: new Date("2026-11-22T10:00:01Z"),
  settings: settings(),
  templates: seen(parseTemplates(undefined)),
  rightsPolicySince: seen(new Date("2026-01-01T00:00:00Z")),
  target: seen(undefined),
  namespace: seen(undefined),
  snapshotClasses: seen([]),
  locations: seen([]),
};
const nothing: SeenWorld = {
  now: all.now,
  settings: unseen("settings"),
  templates: unseen("templates"),
  rightsPolicySince: unseen("policy"),
  target: unseen("target"),
  namespace: unseen("namespace"),
  snapshotClasses: unseen("classes"),
  locations: unseen("locations"),
};

const reasons = (operation: VeleroOperation, world: SeenWorld) =>
  judgeAdmission(operation, world).hindrances.map(({ reason }) => reason);

describe("the dispatcher's checks, before there is an Operation", () => {
  test("say everything that does not hold, where the dispatcher would stop at the first", () => {
    const world = {
      ...all,
      settings: settings({ namespaces: ["org-b"], approvalRequired: { types: ["Restore"] } }),
    };
    expect(reasons(restore(), world)).toEqual(["OutOfScope", "AwaitingApproval", "TemplateInvalid"]);
    expect(judgeAdmission(restore(), world).unchecked).toEqual([]);
  });

  test("look at the location in which the backup is known to be", () => {
    const status = { runner: { storageLocation: "default" } };
    expect(reasons({ ...restore(), status }, all)).toContain("StorageLocationUnavailable");
  });

  test("look at the policy for a Restore from another namespace alone", () => {
    const mapped = restore({ backupName: "daily", namespaceMapping: { "org-b": "org-a" } });
    expect(reasons(mapped, { ...all, rightsPolicySince: seen(undefined) })).toContain("PolicyMissing");
    const asked = (operation: VeleroOperation) =>
      judgeAdmission(operation, { ...all, rightsPolicySince: unseen("policy") }).unchecked;
    expect(asked(mapped)).toEqual([{ asks: expect.stringContaining("rights in the other namespace"), why: "policy" }]);
    expect(asked(restore())).toEqual([]);
  });

  test("that look at what may not be seen are named, each with why, and none is taken for passed", () => {
    const { hindrances, unchecked } = judgeAdmission(restore(), nothing);
    expect(hindrances).toEqual([]);
    expect(unchecked).toEqual([
      { asks: "whether the dispatcher serves this namespace", why: "settings" },
      { asks: "whether the platform's limits allow what it asks for", why: "settings" },
      { asks: "whether the target is in this namespace", why: "target" },
      { asks: "whether the target takes part in what velero does", why: "target" },
      { asks: "whether it needs an approval", why: "settings" },
      { asks: "whether a Job can be made of the template", why: "templates" },
    ]);
  });

  test("have words for each of them", () => {
    expect(CHECKS.filter((check) => !ASKS.has(check))).toEqual([]);
  });
});
