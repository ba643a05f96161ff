import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { settingsSchema } from "../../../../src/dispatcher/settings.ts";
import { ownersOf } from "../../../../src/dispatcher/state/owners.ts";
import { buildJob, jobTemplateSchema } from "../../../../src/dispatcher/templates/buildJob.ts";
import type { Manifest } from "../../../../src/kube/metadata.ts";
import { jobs } from "../../../../src/kube/resources.ts";
import { backupOperation } from "../sampleOperation.ts";

const template = parse(await readFile("jobs/backup.yaml", "utf8"));

function stored({ metadata, spec }: Manifest) {
  const added = { name: "made", uid: "1", resourceVersion: "1", creationTimestamp: "2026-11-22T10:00:00Z" };
  return jobs.schema.parse({ apiVersion: "batch/v1", kind: "Job", metadata: { ...added, ...metadata }, spec });
}

test("a Job of the dispatcher's names its Operation by UID", () => {
  const job = buildJob(backupOperation(), jobTemplateSchema.parse(template), settingsSchema.parse({}), 1);
  expect(ownersOf(stored(job))).toEqual(["0d6c3a52-6a2f-4c0e-9d3a-0b1f5a7f9c11"]);
});

test("a Job made by hand names it by namespace and name, in the environment of its runner", () => {
  const byHand = structuredClone(template);
  const { env } = byHand.spec.template.spec.containers[0];
  env.find(({ name }: { name: string }) => name === "OPERATION_NAMESPACE").value = "org-a";
  env.find(({ name }: { name: string }) => name === "OPERATION_NAME").value = "b1";
  expect(ownersOf(stored(byHand))).toEqual(["org-a/b1"]);
});

test("a copy of a Job of the dispatcher's works for whom its environment names, whatever labels came along", () => {
  const job = buildJob(backupOperation(), jobTemplateSchema.parse(template), settingsSchema.parse({}), 1);
  const { spec } = stored(job);
  const labels = { "ops.vworkspace.io/operation": "another" };
  expect(ownersOf(stored({ metadata: {}, spec }))).toEqual(["0d6c3a52-6a2f-4c0e-9d3a-0b1f5a7f9c11"]);
  expect(ownersOf(stored({ metadata: { labels }, spec }))).toEqual(["0d6c3a52-6a2f-4c0e-9d3a-0b1f5a7f9c11"]);
  expect(ownersOf(stored({ metadata: { labels }, spec: { template: { spec: { containers: [] } } } }))).toEqual([
    "another",
  ]);
});

test("the template as it stands, and any other Job, is nobody's", () => {
  expect(ownersOf(stored(template))).toEqual([]);
  expect(ownersOf(stored({ metadata: {}, spec: { template: { spec: { containers: [{ name: "x" }] } } } }))).toEqual([]);
});
