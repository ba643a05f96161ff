import { writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { readProbe } from "../../../../src/cli/drill/probe.ts";
import { temporaryFolder } from "../../../temporaryFolder.ts";

const folder = temporaryFolder();

async function probeFile(content: string): Promise<string> {
  const file = path.join(folder(), "probe.yaml");
  await writeFile(file, content);
  return file;
}

test("a probe is a Pod, and runs once", async () => {
  const file = await probeFile("apiVersion: v1\nkind: Pod\nspec: {containers: [{name: probe, image: busybox}]}\n");
  expect(await readProbe(file)).toEqual({
    apiVersion: "v1",
    kind: "Pod",
    spec: { restartPolicy: "Never", containers: [{ name: "probe", image: "busybox" }] },
  });
});

test.each([
  ["apiVersion: batch/v1\nkind: Job\n", /must be a Pod that runs once: apiVersion: /],
  ["apiVersion: v1\nkind: Pod\nspec: {restartPolicy: Always, containers: [{name: a}]}\n", /: spec\.restartPolicy: /],
  ["apiVersion: v1\nkind: Pod\nspec: {containers: []}\n", /: spec\.containers: /],
  ["a: [", /: the file: /],
])("%j is none", async (content, problem) => {
  const file = await probeFile(content);
  await expect(readProbe(file)).rejects.toThrow(problem);
  await expect(readProbe(file)).rejects.toThrow(`--probe: ${file} `);
});

test("a file that is not there is named", async () => {
  await expect(readProbe("/nowhere/probe.yaml")).rejects.toThrow("--probe: /nowhere/probe.yaml cannot be read: ENOENT");
});
