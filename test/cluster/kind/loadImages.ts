import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { buildImage } from "../images/buildImage.ts";
import { images } from "../images/images.ts";
import { withHeartbeat } from "../progress.ts";
import { run } from "../run.ts";
import { ensurePrograms } from "../toolchain/toolchain.ts";
import { CLUSTER, type KindOptions } from "./kind.ts";
import { inNode } from "./nodes.ts";

const node = `${CLUSTER}-control-plane`;
const ctr = ["ctr", "-n", "k8s.io", "images"];
/** Says on an image in the node what it was made of. */
const KEY = "operation-runner.test/key";

/** Builds the images and loads them into the nodes; those that are there already, made of the same, are left alone. */
export async function loadImages({ env, progress }: KindOptions): Promise<void> {
  const { kind } = await ensurePrograms(["kind"], { env, progress });
  const there = await inNode(node, [...ctr, "list"], env);
  for (const image of await images({ env, progress })) {
    const name = fullName(image.reference);
    if (there.split("\n").some((line) => line.startsWith(`${name} `) && line.includes(`${KEY}=${image.key}`))) continue;
    const folder = await mkdtemp(path.join(os.tmpdir(), "image-"));
    try {
      const archive = path.join(folder, "image.tar");
      await withHeartbeat(
        progress,
        (elapsed) => `building and loading the image ${image.reference}, ${elapsed}`,
        async () => {
          await buildImage(image, archive, env);
          const loaded = await run(kind, ["load", "image-archive", archive, "--name", CLUSTER], { env });
          if (loaded.code !== 0) throw new Error(`kind load image-archive failed: ${loaded.stderr.trim()}`);
          await inNode(node, [...ctr, "label", name, `${KEY}=${image.key}`], env);
        },
      );
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
}

/** As containerd has it: with the registry that a short name stands for. */
function fullName(reference: string): string {
  const [first = ""] = reference.split("/");
  return /[.:]/.test(first) ? reference : `docker.io/${reference}`;
}
