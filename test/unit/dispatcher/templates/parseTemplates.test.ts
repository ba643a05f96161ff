import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { settingsSchema } from "../../../../src/dispatcher/settings.ts";
import { contradictions, parseTemplates } from "../../../../src/dispatcher/templates/parseTemplates.ts";

const backup = await readFile("jobs/backup.yaml", "utf8");
const restore = await readFile("jobs/restore.yaml", "utf8");

function configMap(data: Record<string, string>) {
  const metadata = {
    name: "operation-jobs",
    uid: "1",
    resourceVersion: "1",
    creationTimestamp: "2026-11-22T10:00:00Z",
  };
  return { apiVersion: "v1", kind: "ConfigMap", metadata, data };
}

function problemOf(text: string): string {
  const { Backup, Restore } = parseTemplates(configMap({ "backup.yaml": text, "restore.yaml": restore }));
  expect(Restore.ok).toBe(true);
  return Backup.ok ? "" : Backup.problem;
}

test("the shipped templates are good as they stand", () => {
  const templates = parseTemplates(configMap({ "backup.yaml": backup, "restore.yaml": restore }));
  expect(templates).toMatchObject({ Backup: { ok: true }, Restore: { ok: true } });
  expect(contradictions(templates, settingsSchema.parse({}))).toEqual([]);
});

test.each([
  ["spec: [", /^ConfigMap operation-jobs, backup\.yaml: not valid YAML: /],
  ["", /backup\.yaml: .*expected object/],
  [backup.replace("kind: Job", "kind: CronJob"), /backup\.yaml: kind: must be "Job"/],
  [
    backup.replace("- name: runner", "- name: main"),
    /backup\.yaml: spec\.template\.spec\.containers: must have a container named "runner"/,
  ],
  [
    backup.replace(/image: .*/, 'image: ""'),
    /backup\.yaml: spec\.template\.spec\.containers\.0\.image: must name an image/,
  ],
  [backup.replace("backoffLimit: 3", "parallelism: 2"), /backup\.yaml: spec\.parallelism: must be 1 or left out/],
  [
    backup.replace("ttlSecondsAfterFinished: 86400", "ttlSecondsAfterFinished: 299"),
    /backup\.yaml: spec\.ttlSecondsAfterFinished: must be 300 or more/,
  ],
  [backup.replace("backoffLimit: 3", "backoffLimit: many"), /backup\.yaml: spec\.backoffLimit: /],
])("a broken template is told by file and field, and stops only its own type: %#", (text, expected) => {
  expect(problemOf(text)).toMatch(expected);
});

test("a missing ConfigMap or key is told", () => {
  expect(parseTemplates(undefined)).toMatchObject({
    Backup: { ok: false, problem: "ConfigMap operation-jobs, backup.yaml: the ConfigMap does not exist" },
    Restore: { ok: false, problem: "ConfigMap operation-jobs, restore.yaml: the ConfigMap does not exist" },
  });
  expect(parseTemplates(configMap({ "restore.yaml": restore }))).toMatchObject({
    Backup: { ok: false, problem: "ConfigMap operation-jobs, backup.yaml: the ConfigMap has no such key" },
    Restore: { ok: true },
  });
});

test("a template by which a Job made by hand would go wrong is told", () => {
  const templates = parseTemplates(
    configMap({ "backup.yaml": backup, "restore.yaml": restore.replace("value: velero", "value: backup-system") }),
  );
  const settings = settingsSchema.parse({ clusterId: "eu-1", restore: { excludedResources: [] } });
  expect(contradictions(templates, settings).sort()).toEqual([
    expect.stringMatching(/^backup\.yaml: CLUSTER_ID is "" but the settings say "eu-1"/),
    expect.stringMatching(/^restore\.yaml: CLUSTER_ID is "" but the settings say "eu-1"/),
    expect.stringMatching(
      /^restore\.yaml: RESTORE_EXCLUDED_RESOURCES is \["resourcequotas".* but the settings say \[\];/,
    ),
    expect.stringMatching(/^restore\.yaml: VELERO_NAMESPACE is "backup-system" but the settings say "velero"/),
  ]);
});
