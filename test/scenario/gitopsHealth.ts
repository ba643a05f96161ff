import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { parse } from "yaml";
import { z } from "zod";
import { ensurePrograms } from "../cluster/toolchain/toolchain.ts";

const verdicts = z.array(z.object({ status: z.string(), message: z.string() }));
const configMap = z.object({ data: z.record(z.string(), z.string()) });

/** What the tools of GitOps say of an object. */
export interface Health {
  /** Flux and Helm, by the library that they wait with. */
  readonly kstatus: z.infer<typeof verdicts>[number];
  /** Argo CD, by the script in docs/examples/gitops. */
  readonly argo: z.infer<typeof verdicts>[number];
}

/** Asks these tools' own libraries about each object, as the API server returns it. */
export async function healthOf(objects: readonly object[]): Promise<Health[]> {
  const { "gitops-health": program } = await ensurePrograms(["gitops-health"], {
    env: process.env,
    progress: console.error,
  });
  const { data } = configMap.parse(parse(await readFile("docs/examples/gitops/argo-cd-health.yaml", "utf8")));
  const folder = await mkdtemp(path.join(os.tmpdir(), "health-"));
  try {
    const script = path.join(folder, "health.lua");
    await writeFile(script, Object.values(data).join());
    const [kstatus, argo] = await Promise.all([judged(program, [], objects), judged(program, [script], objects)]);
    return kstatus.flatMap((each, index) => {
      const byArgo = argo[index];
      return byArgo === undefined ? [] : [{ kstatus: each, argo: byArgo }];
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function judged(program: string, args: string[], objects: readonly object[]) {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(JSON.stringify(objects));
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, "close")]);
  if (code !== 0) throw new Error(`${program} ended with ${code}`);
  return verdicts.parse(JSON.parse(output));
}
