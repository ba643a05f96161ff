import { describe, expect, it } from "vitest";
import type { Outputs } from "../../../src/api/outputs.ts";
import { verdict } from "../../../src/runner/verdict.ts";
import { condition } from "./conditions.ts";
import { backup, restore } from "./veleroObjects.ts";

describe("a Backup whose volumes were skipped", () => {
  const skipped = ["org-a/data (csiSnapshot: skipped b/c it's not a CSI volume)", "org-a/logs (why)"];
  const degraded = (phase: string) =>
    verdict({
      type: "Backup",
      object: backup({ phase }),
      byCancel: false,
      outputs: { errorCount: "2", warningCount: "0", skippedVolumes: skipped },
    }).conditions?.find((one) => one.type === "Degraded");

  it("is Degraded though Velero calls it Completed", () => {
    expect(degraded("Completed")).toEqual(
      condition(
        "Degraded",
        "True",
        "VolumesSkipped",
        "volumes not backed up: org-a/data (csiSnapshot: skipped b/c it's not a CSI volume), org-a/logs (why)",
      ),
    );
  });

  it("stays a partial failure, which names them too", () => {
    expect(degraded("PartiallyFailed")).toMatchObject({
      reason: "PartialFailure",
      message: expect.stringMatching(/^2 errors, 0 warnings: see outputs.warnings; volumes not backed up: org-a\/data/),
    });
  });
});

describe("a Backup whose files are not what Velero wrote", () => {
  it("is Degraded for that before all else, and says all else too", () => {
    const outputs = { unreadableFiles: ["BackupContents: the file is not gzip"], skippedVolumes: ["org-a/data (why)"] };
    const { phase, conditions } = verdict({
      type: "Backup",
      object: backup({ phase: "Completed" }),
      byCancel: false,
      outputs,
    });
    expect(phase).toBe("Succeeded");
    expect(conditions?.at(-1)).toEqual(
      condition(
        "Degraded",
        "True",
        "FilesUnreadable",
        "files in the object store are not what Velero wrote: BackupContents: the file is not gzip; volumes not backed up: org-a/data (why)",
      ),
    );
  });
});

describe("a Restore", () => {
  const ended = (outputs: Outputs, phase = "Completed") =>
    verdict({ type: "Restore", object: restore({ phase }), byCancel: false, outputs }).conditions;
  const became = (created: string, updated: string, skipped: string, failed: string): Outputs => ({
    restoreItemCount: "9",
    restoreCreatedCount: created,
    restoreUpdatedCount: updated,
    restoreSkippedCount: skipped,
    restoreFailedCount: failed,
  });

  it.each([
    [became("9", "0", "0", "0"), "velero.io/Restore completed; 9 items (9 created)"],
    [became("0", "5", "3", "1"), "velero.io/Restore completed; 9 items (5 updated, 3 skipped, 1 failed)"],
    [{ restoreItemCount: "9" }, "velero.io/Restore completed; 9 items"],
  ])("says what became of its items, and is not Degraded where some changed", (outputs, message) => {
    const [running, succeeded, ...others] = ended(outputs) ?? [];
    expect(others).toEqual([]);
    expect(running?.message).toBe(message);
    expect(succeeded).toMatchObject({ type: "Succeeded", status: "True", message });
  });

  it("is Degraded where nothing was changed", () => {
    expect(ended(became("0", "0", "8", "1"))?.at(-1)).toEqual(
      condition("Degraded", "True", "NothingRestored", "nothing was created or updated: 8 skipped, 1 failed"),
    );
  });

  it("is Degraded where data was left out", () => {
    const skippedVolumes = ["org-a/data (its claim existed before)"];
    expect(ended({ ...became("9", "0", "0", "0"), skippedVolumes })?.at(-1)).toEqual(
      condition("Degraded", "True", "VolumesSkipped", "volumes not restored: org-a/data (its claim existed before)"),
    );
  });
});

describe("what Velero calls done though nothing matched", () => {
  const degraded = (type: "Backup" | "Restore", outputs: Outputs, spec: Record<string, unknown> = {}) =>
    verdict({
      type,
      object: { ...(type === "Backup" ? backup({ phase: "Completed" }) : restore({ phase: "Completed" })), spec },
      byCancel: false,
      outputs,
    }).conditions?.find((one) => one.type === "Degraded");

  it("is Degraded, and says what Velero may not have known", () => {
    expect(degraded("Backup", { backupItemCount: "0" })).toEqual(
      condition("Degraded", "True", "NothingBackedUp", "nothing in the namespace matched what was asked for"),
    );
    const unknownResources = ['this cluster has no resource "configmapz"; did you mean configmaps?'];
    const outputs = { restoreItemCount: "0", restoreCreatedCount: "0", restoreUpdatedCount: "0", unknownResources };
    expect(degraded("Restore", outputs)).toEqual(
      condition(
        "Degraded",
        "True",
        "NothingRestored",
        `nothing in the backup matched what was asked for; Velero may not have known these resources: ${unknownResources[0]}`,
      ),
    );
  });

  it("is Degraded for what was unknown though something else matched", () => {
    const outputs = { backupItemCount: "3", unknownResources: ["gadgets.example.org was new when Velero began"] };
    expect(degraded("Backup", outputs)).toMatchObject({ reason: "UnknownResources" });
  });

  it("is not taken for nothing where Velero does not tell", () => {
    expect(degraded("Backup", {})).toBeUndefined();
  });

  it.each([
    [{}, "NothingBackedUp"],
    [{ includedResources: ["*"], excludedResources: ["secrets"] }, "NothingBackedUp"],
    [{ includedResources: ["configmaps"] }, undefined],
    [{ excludedResources: ["Namespace"] }, undefined],
  ])("is all that holds the namespace itself and nothing else: %j", (spec, reason) => {
    expect(degraded("Backup", { backupItemCount: "1" }, spec)?.reason).toBe(reason);
    expect(degraded("Backup", { backupItemCount: "2" }, spec)).toBeUndefined();
    expect(degraded("Restore", { restoreItemCount: "1" }, spec)).toBeUndefined();
  });
});
