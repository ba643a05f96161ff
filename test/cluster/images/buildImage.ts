import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { run } from "../run.ts";
import { type Image, projectFolder } from "./images.ts";

/**
 * Builds an image into an archive, as `docker save` writes them: what is in Docker's own store under that name, perhaps the
 * real thing, stays as it is.
 *
 * A certificate authority of the caller's network, for the build's own downloads, is taken from `NODE_EXTRA_CA_CERTS`.
 *
 * @throws Error with the end of what Docker said
 */
export async function buildImage(
  { reference, content }: Image,
  archive: string,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  // An attestation would make the archive an index of several, of which kind loads none.
  const build = ["build", "--provenance=false", "--output", `type=docker,dest=${archive},name=${reference}`];
  if (content === "project") {
    const ca = env.NODE_EXTRA_CA_CERTS;
    return await docker([...build, ...(ca ? ["--secret", `id=ca,src=${ca}`] : []), projectFolder], env);
  }
  const context = await mkdtemp(path.join(os.tmpdir(), "image-"));
  try {
    for (const [inImage, file] of Object.entries(content.files)) {
      await mkdir(path.join(context, path.dirname(inImage)), { recursive: true });
      await copyFile(file, path.join(context, inImage));
    }
    const dockerfile = `FROM scratch\nCOPY . /\nENTRYPOINT ${JSON.stringify(content.entrypoint)}\n`;
    await docker([...build, "--file", "-", context], env, dockerfile);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

async function docker(args: readonly string[], env: NodeJS.ProcessEnv, input?: string): Promise<void> {
  const { code, stdout, stderr } = await run("docker", args, { env, input });
  if (code === 0) return;
  const end = `${stdout}${stderr}`.trimEnd().split("\n").slice(-20).join("\n");
  throw new Error(`docker ${args.join(" ")} failed:\n${end}`);
}
