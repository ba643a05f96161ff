import path from "node:path";
import { build } from "../../../src/build/bundle.ts";

/** Bundles the sources as they are now into `folder`, as the container image has them. Answers the entry point's path. */
export async function bundle(folder: string): Promise<string> {
  await build(folder);
  return path.join(folder, "operation-runner.js");
}
