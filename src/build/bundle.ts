import { execFile } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import path from "node:path";
import { promisify } from "node:util";
import { type BuildOptions, build as esbuild, type Plugin } from "esbuild";
import { fileOf, PARTS } from "./parts.ts";
import { bundleSbom } from "./sbom.ts";

const root = path.join(import.meta.dirname, "..", "..");

/** As in the Dockerfile. */
const CODE_CACHE_FLAGS = ["--hash-seed=1", "--predictable"];

/**
 * What is needed seldom, and never by a runner in its pod: what the Kubernetes client takes for kubeconfigs with proxies,
 * OpenID Connect, commands that answer credentials, or YAML; pino's threads. Each package is a file of its own, which is read
 * when something of it is first called.
 */
const SELDOM_USED = [
  "hpagent",
  "js-yaml",
  "jsonpath-plus",
  "node:child_process",
  "openid-client",
  "socks",
  "socks-proxy-agent",
  "thread-stream",
  "undici",
];

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

/** Puts in the place of a seldom used package what it exports, each of which fetches the package when it is called. */
const seldomUsed: Plugin = {
  name: "seldom-used",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: new RegExp(`^(${SELDOM_USED.join("|")})$`) }, ({ path: name, namespace }) =>
      namespace === "seldom-used"
        ? { path: isBuiltin(name) ? name : `./${fileOf(name)}`, external: true }
        : { path: name, namespace: "seldom-used" },
    );
    onLoad({ filter: /.*/, namespace: "seldom-used" }, async ({ path: name }) => ({ contents: await standIn(name) }));
  },
};

/** A module in CommonJS that looks like a package, and fetches it when one of its functions or classes is used. */
async function standIn(name: string): Promise<string> {
  const exported = Object.entries(await import(name)).filter(
    ([each]) => !["default", "module.exports", "__esModule"].includes(each),
  );
  const members = exported.map(([each, value]) => {
    const real = `() => require("${name}").${each}`;
    return `${each}: { enumerable: true, ${typeof value === "function" ? `value: callable(${real})` : `get: ${real}`} },`;
  });
  const whole = members.length === 0 ? `callable(() => require("${name}"))` : "{}";
  return `
    const callable = (real) => new Proxy(function () {}, {
      get: (_, member) => real()[member],
      apply: (_, self, args) => Reflect.apply(real(), self, args),
      construct: (_, args) => Reflect.construct(real(), args),
    });
    module.exports = Object.defineProperties(${whole}, {
      ${members.join("\n")}
    });`;
}

/** Has src/main.ts fetch a part's file where the source imports its module. */
const partFiles: Plugin = {
  name: "part-files",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /.*/ }, ({ path: file, kind, resolveDir }) => {
      if (kind !== "dynamic-import") return undefined;
      const source = path.relative(root, path.join(resolveDir, file));
      const part = Object.entries(PARTS).find(([, each]) => each === source)?.[0];
      if (part === undefined) return { errors: [{ text: `PARTS in src/build/bundle.ts does not name ${source}` }] };
      return { path: part, namespace: "part" };
    });
    onLoad({ filter: /.*/, namespace: "part" }, ({ path: part }) => ({
      contents: `
        const path = require("node:path");
        const { runFile } = require("./src/codeCache.ts");
        module.exports = runFile(path.join(__dirname, "${fileOf(part)}"), require).exports;`,
      resolveDir: root,
    }));
  },
};

/**
 * Takes of Node's own modules what is used, and once: to imitate a whole module, as the bundler would, costs a short-lived
 * Job more than to load it.
 */
const nodeModules: Plugin = {
  name: "node-modules",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /.*/ }, ({ path: name, kind, namespace }) =>
      isBuiltin(name) && kind === "import-statement" && namespace === "file"
        ? { path: name, namespace: "node" }
        : undefined,
    );
    onLoad({ filter: /.*/, namespace: "node" }, ({ path: name }) => ({
      contents: [
        `const whole = require("${name}");`,
        "export default whole;",
        ...Object.keys(process.getBuiltinModule(name) ?? {}).map(
          (each) => `export const ${each} = /* @__PURE__ */ (() => whole.${each})();`,
        ),
      ].join("\n"),
    }));
  },
};

/**
 * Bundles `src/main.ts` with everything it needs into `folder`: the entry is
 * `operation-runner.js`, and each part of the program has a file of its own, so that a
 * short-lived Job loads nothing it does not use, and beside it what this Node makes of it
 * (codeCache.ts). `sbom.cdx.json` says what the bundle is made of. Throws when the sources
 * do not build.
 */
export async function build(folder: string): Promise<void> {
  const options = {
    absWorkingDir: root,
    outdir: folder,
    bundle: true,
    // In an ES module the bundle would take longer to load: Node reads every export of each of its own modules.
    format: "cjs",
    platform: "node",
    target: "node22",
    // Names stay as they are: a stack trace in a log must be readable.
    minifyWhitespace: true,
    minifySyntax: false,
    // One character that is not Latin-1 doubles what a file takes in memory.
    charset: "ascii",
    legalComments: "external",
    sourcemap: "linked",
    metafile: true,
    logLevel: "warning",
  } as const satisfies BuildOptions;
  const packages = SELDOM_USED.filter((name) => !isBuiltin(name));
  const outputs = await Promise.all([
    esbuild({
      ...options,
      entryPoints: { "operation-runner": "src/main.ts" },
      plugins: [partFiles],
      supported: { "dynamic-import": false },
    }),
    esbuild({
      ...options,
      entryPoints: PARTS,
      plugins: [leanClient, seldomUsed, nodeModules],
      banner: { js: "(function(exports,require,module){" },
      footer: { js: "})" },
    }),
    esbuild({ ...options, entryPoints: Object.fromEntries(packages.map((name) => [name, name])) }),
  ]);
  const inputs = outputs.flatMap(({ metafile }) => Object.keys(metafile.inputs));
  const sbom = await bundleSbom(root, inputs);
  await writeFile(path.join(folder, "sbom.cdx.json"), `${JSON.stringify(sbom, null, 2)}\n`);
  // Whatever the folders around it say.
  await writeFile(path.join(folder, "package.json"), `${JSON.stringify({ type: "commonjs" })}\n`);
  await promisify(execFile)(process.execPath, [
    ...CODE_CACHE_FLAGS,
    path.join(import.meta.dirname, "codeCache.ts"),
    folder,
  ]);
}

if (import.meta.main) {
  const dist = path.join(root, "dist");
  // What another build left there would stay.
  await rm(dist, { recursive: true, force: true });
  await build(dist);
}
