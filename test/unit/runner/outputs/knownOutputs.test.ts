import { describe, expect, it } from "vitest";
import { knownOutputs } from "../../../../src/runner/outputs/outputs.ts";
import { restore } from "../veleroObjects.ts";
import { completed } from "./outputsOf.ts";

describe("what is known as soon as the object exists", () => {
  it("is its name and its location", () => {
    expect(knownOutputs("Backup", completed, [])).toEqual({ backupName: "b1", storageLocation: "default" });
    expect(knownOutputs("Restore", restore(), ["endpoints"])).toEqual({ restoreName: "r1", backupName: "b1" });
    expect(knownOutputs("Backup", { ...completed, spec: {} }, [])).toEqual({ backupName: "b1" });
  });

  it("is what a Restore leaves out because the platform says so, and not what its owner left out", () => {
    const object = { ...restore(), spec: { excludedResources: ["secrets", "endpoints", "limitranges"] } };
    // An older runner made it, when the settings were others.
    const { excludedResources } = knownOutputs("Restore", object, ["resourcequotas", "limitranges", "endpoints"]);
    expect(excludedResources).toEqual(["limitranges", "endpoints"]);
  });
});
