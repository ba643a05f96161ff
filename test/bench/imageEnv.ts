import { readFile } from "node:fs/promises";

/** What the image sets for every process in it: the `ENV` lines of its Dockerfile. */
export async function imageEnv(): Promise<Record<string, string>> {
  const dockerfile = await readFile("Dockerfile", "utf8");
  const settings = dockerfile.matchAll(/^ENV (\w+)=(\S+)$/gm);
  return Object.fromEntries([...settings].map(([, name = "", value = ""]) => [name, value]));
}
