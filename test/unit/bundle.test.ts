import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { build } from "../../src/build/bundle.ts";

test("the same sources give the same bundle, byte for byte", async () => {
  const first = await bundle();
  // Built at once, they get in each other's way: what depends on which file is read first shows.
  for (const each of await Promise.all([bundle(), bundle(), bundle()])) expect(each.digests).toEqual(first.digests);
});

test("the bill of materials names what is in the bundle, and nothing else", async () => {
  const { folder } = await bundle();
  const { components, metadata } = JSON.parse(await readFile(path.join(folder, "sbom.cdx.json"), "utf8"));
  expect(metadata.component).toMatchObject({ name: "operation-runner", licenses: [{ license: { id: "Apache-2.0" } }] });
  const names = components.map(({ name }: { name: string }) => name);
  expect(names).toEqual(expect.arrayContaining(["@kubernetes/client-node", "pino", "undici", "zod"]));
  expect(names).not.toEqual(expect.arrayContaining([expect.stringMatching(/^(vitest|esbuild|typescript)$/)]));
});

async function bundle(): Promise<{ folder: string; digests: Record<string, string> }> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "operation-runner-bundle-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await build(folder);
  const digests: Record<string, string> = {};
  for (const file of (await readdir(folder)).sort())
    digests[file] = createHash("sha256")
      .update(await readFile(path.join(folder, file)))
      .digest("hex");
  return { folder, digests };
}
