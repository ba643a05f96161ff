import { expect, test } from "vitest";
import { concurrentBackups, veleroStage } from "../../../src/api/velero.ts";
import { deployments } from "../../../src/kube/resources.ts";

const server = (container: object) =>
  deployments.schema.parse({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: {
      name: "velero",
      uid: "1",
      resourceVersion: "1",
      creationTimestamp: "2026-11-22T10:00:00Z",
    },
    spec: {
      template: { spec: { containers: [{ name: "velero", ...container }, { args: ["--concurrent-backups=9"] }] } },
    },
  });

test.each([
  ["as one word", { args: ["server", "--concurrent-backups=3"] }, 3],
  ["as two words", { command: ["/velero"], args: ["server", "--concurrent-backups", "4", "--features=EnableCSI"] }, 4],
  ["in its command", { command: ["/velero", "server", "--concurrent-backups=5"] }, 5],
  ["twice, of which the last counts", { args: ["--concurrent-backups=3", "--concurrent-backups=2"] }, 2],
  ["as less than one, which Velero takes for 1", { args: ["server", "--concurrent-backups=0"] }, 1],
  ["not at all", { args: ["server"] }, undefined],
  ["as no number", { args: ["server", "--concurrent-backups=many"] }, undefined],
  ["with nothing behind it", { args: ["server", "--concurrent-backups"] }, undefined],
  ["nothing that can be read", { args: "server" }, undefined],
])("the Deployment says on how many Backups Velero works at once: %s", (_, container, count) => {
  expect(concurrentBackups(server(container))).toBe(count);
});

test("a Deployment of any other shape says nothing of it", () => {
  expect(concurrentBackups({ ...server({}), spec: undefined })).toBeUndefined();
});

test.each([
  [undefined, "inLine"],
  ["", "inLine"],
  ["New", "inLine"],
  ["Queued", "inLine"],
  ["ReadyToStart", "atWork"],
  ["InProgress", "atWork"],
  ["SomethingNew", "atWork"],
  ["WaitingForPluginOperations", "letGo"],
  ["WaitingForPluginOperationsPartiallyFailed", "letGo"],
  ["Finalizing", "letGo"],
  ["FinalizingPartiallyFailed", "letGo"],
  ["Completed", "letGo"],
  ["FailedValidation", "letGo"],
  ["Deleting", "letGo"],
])("in phase %s it is %s for Velero's line", (phase, stage) => {
  expect(veleroStage(phase)).toBe(stage);
});
