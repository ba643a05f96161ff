import { rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { build as esbuild, type Plugin } from "esbuild";
import { bundleSbom } from "./sbom.ts";

const root = path.join(import.meta.dirname, "..", "..");

/**
 * The Kubernetes client's generated models look as if importing them did something, so that all of them would be kept. It
 * does not: what is not used is left out, which saves a short-lived Job 8 MB of memory. Every import of them is resolved
 * here: a file that is found in two ways is bundled as whichever came first, and no two builds would be the same.
 */
const leanClient: Plugin = {
  name: "lean-kubernetes-client",
  setup({ onResolve }) {
    onResolve({ filter: /^@kubernetes\/client-node\/dist\// }, ({ path: file }) => ({
      path: path.join(root, "node_modules", file),
      sideEffects: false,
    }));
    onResolve({ filter: /^\.\.?\// }, ({ path: file, resolveDir }) =>
      resolveDir.includes(path.join("@kubernetes", "client-node", "dist"))
        ? { path: path.join(resolveDir, file), sideEffects: false }
        : undefined,
    );
  },
};

/**
 * Bundles `src/main.ts` with everything it needs into `folder`: the entry is
 * `operation-runner.js`, and each subcommand has chunks of its own, so that a
 * short-lived Job loads nothing it does not use. `sbom.cdx.json` beside it says what
 * the bundle is made of. Throws when the sources do not build.
 */
export async function build(folder: string): Promise<void> {
  const { metafile } = await esbuild({
    absWorkingDir: root,
    entryPoints: { "operation-runner": path.join(root, "src", "main.ts") },
    outdir: folder,
    bundle: true,
    plugins: [leanClient],
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node22",
    // Names stay as they are: a stack trace in a log must be readable.
    minifyWhitespace: true,
    minifySyntax: false,
    sourcemap: "linked",
    // Dependencies in CommonJS call require, which an ES module does not have.
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
    },
    metafile: true,
    logLevel: "warning",
  });
  const sbom = await bundleSbom(root, Object.keys(metafile.inputs));
  await writeFile(path.join(folder, "sbom.cdx.json"), `${JSON.stringify(sbom, null, 2)}\n`);
}

if (import.meta.main) {
  const dist = path.join(root, "dist");
  // Chunks are named by their content: those of another build would stay.
  await rm(dist, { recursive: true, force: true });
  await build(dist);
}
