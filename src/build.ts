import path from "node:path";
import { build as esbuild, type Plugin } from "esbuild";

const root = path.join(import.meta.dirname, "..");

/**
 * The Kubernetes client's generated models look as if importing them did something, so that all of them would be kept. It
 * does not: what is not used is left out, which saves a short-lived Job 8 MB of memory.
 */
const leanClient: Plugin = {
  name: "lean-kubernetes-client",
  setup({ onResolve }) {
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
 * short-lived Job loads nothing it does not use. Throws when the sources do not build.
 */
export async function build(folder: string): Promise<void> {
  await esbuild({
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
    logLevel: "warning",
  });
}

if (import.meta.main) await build(path.join(root, "dist"));
