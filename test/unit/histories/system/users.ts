import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { applicationInstances } from "../../../../src/api/applicationInstance.ts";
import { type Operation, type OperationType, operations } from "../../../../src/api/operation.ts";
import { storageLocations } from "../../../../src/api/velero.ts";
import { configMaps, type Job, jobs, namespaces } from "../../../../src/kube/resources.ts";
import type { FakeApiServer } from "./fakeApiServer.ts";
import { VELERO } from "./fakeVelero.ts";

/** Where the Jobs are. */
export const SYSTEM = "vworkspace-system";
const TEAM = "org-a";
/** The backup that a Restore restores. */
export const SOURCE = "source";

const templates = Object.fromEntries(
  ["backup.yaml", "restore.yaml"].map((file) => [
    file,
    readFileSync(join(import.meta.dirname, "../../../../jobs", file), "utf8"),
  ]),
);

/** What has to be there before anybody asks for anything. */
export function install(api: FakeApiServer): void {
  api.create("people", configMaps, { metadata: { namespace: SYSTEM, name: "operation-jobs" }, data: templates });
  api.create("people", namespaces, { metadata: { name: TEAM } });
  api.create("people", applicationInstances, { metadata: { namespace: TEAM, name: "shop" }, spec: {} });
  api.create("people", storageLocations, {
    metadata: { namespace: VELERO, name: "default" },
    spec: { default: true },
    status: { phase: "Available" },
  });
}

/** Asks for a Backup or a Restore, unless one of that name is there. */
export function ask(api: FakeApiServer, type: OperationType, name: string): void {
  if (api.find(operations.plural, { namespace: TEAM, name }) !== undefined) return;
  api.create("people", operations, {
    metadata: { namespace: TEAM, name },
    spec: {
      targetRef: { apiVersion: "apps.vworkspace.io/v1alpha1", kind: "ApplicationInstance", name: "shop" },
      type,
      engine: "velero",
      parameters: type === "Restore" ? { backupName: SOURCE } : {},
    },
  });
}

/** @param value null takes the annotation away */
export function annotate(api: FakeApiServer, operation: Operation, key: string, value: string | null): void {
  api.patch("people", operations.plural, operation.metadata, { metadata: { annotations: { [key]: value } } });
}

/** A copy of a Job, as kubectl and dashboards make them; under the Job's own name it takes its place. */
export function copyJob(api: FakeApiServer, job: Job, name?: string): void {
  const { namespace, labels } = job.metadata;
  const named = name === undefined ? { name: job.metadata.name } : { generateName: name };
  if (name === undefined) api.delete("people", jobs.plural, job.metadata);
  api.create("people", jobs, { metadata: { namespace, labels, ...named }, spec: job.spec });
}

/** A Job from the template, as the README has it. */
export function makeJob(api: FakeApiServer, operation: Operation): void {
  const template = parse(templates[`${operation.spec?.type.toLowerCase()}.yaml`] ?? "");
  for (const one of template.spec.template.spec.containers[0].env) {
    if (one.name === "OPERATION_NAMESPACE") one.value = TEAM;
    if (one.name === "OPERATION_NAME") one.value = operation.metadata.name;
  }
  template.metadata.namespace = SYSTEM;
  api.create("people", jobs, template);
}
