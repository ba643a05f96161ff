import { execFile } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import path from "node:path";
import { promisify } from "node:util";
import { type BuildOptions, build as esbuild, type Plugin } from "esbuild";
import { fileOf, PARTS, VERBS } from "./parts.ts";
import { bundleSbom } from "./sbom.ts";

const root = path.join(import.meta.dirname, "..", "..");

/** As in the Dockerfile. */
const CODE_CACHE_FLAGS = ["--hash-seed=1", "--predictable"];

/**
 * Packages that are used seldom, and never by a runner in its pod: the Kubernetes client needs most of them for kubeconfigs (with
 * proxies, OpenID Connect, or commands that print credentials), and pino needs one for its threads. The bundle has a file for
 * each of these packages, and reads it when something of the package is first called.
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

/** The commands for people read a kubeconfig each time, and few of them log. */
const COMMANDS_USE_SELDOM = [...SELDOM_USED.filter((name) => name !== "js-yaml"), "pino", "tar-stream"];

/**
 * Tells esbuild that importing the Kubernetes client's generated models has no side effects. It cannot see that itself, and would
 * keep all of them; without the unused ones a short-lived Job needs 8 MB less memory. All of their imports are resolved here:
 * esbuild takes a file that it finds in two ways as it found it first, and then no two builds are the same.
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

/** Replaces each of these packages by a stand-in with the same exports, which loads the package when one of them is used. */
const seldomUsed = (names: readonly string[]): Plugin => ({
  name: "seldom-used",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: new RegExp(`^(${names.join("|")})$`) }, ({ path: name, namespace }) =>
      namespace === "seldom-used"
        ? { path: isBuiltin(name) ? name : `./${fileOf(name)}`, external: true }
        : { path: name, namespace: "seldom-used" },
    );
    onLoad({ filter: /.*/, namespace: "seldom-used" }, async ({ path: name }) => ({ contents: await standIn(name) }));
  },
});

/** The CommonJS source of the stand-in for a package. */
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

/** Makes the program load the file of a part where its source imports the part's module. */
const partFiles: Plugin = {
  name: "part-files",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /.*/ }, ({ path: file, kind, importer, resolveDir }) => {
      if (kind !== "dynamic-import" || isBuiltin(file)) return undefined;
      const source = path.relative(root, path.join(resolveDir, file));
      const part = Object.entries(PARTS).find(([, each]) => each === source)?.[0];
      if (part === undefined) {
        if (importer.includes("node_modules")) return undefined;
        return { errors: [{ text: `PARTS in src/build/parts.ts does not name ${source}` }] };
      }
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
 * Takes from Node's own modules only what is used, and each module once. esbuild would copy every export of a module, which costs
 * a short-lived Job more than to load the module.
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
 * short-lived Job loads nothing it does not use. Beside each file lies the code that this
 * Node compiles it to (codeCache.ts). `sbom.cdx.json` lists the packages in the bundle.
 * Throws if the sources do not build.
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
    // Names are kept so that a stack trace in a log is readable.
    minifyWhitespace: true,
    minifySyntax: false,
    // A single character outside Latin-1 doubles the memory that a file takes.
    charset: "ascii",
    legalComments: "external",
    sourcemap: "linked",
    metafile: true,
    logLevel: "warning",
  } as const satisfies BuildOptions;
  const packages = [...new Set([...SELDOM_USED, ...COMMANDS_USE_SELDOM])].filter((name) => !isBuiltin(name));
  const outputs = await Promise.all([
    esbuild({
      ...options,
      entryPoints: { "operation-runner": "src/main.ts" },
      plugins: [partFiles],
      supported: { "dynamic-import": false },
    }),
    ...Object.entries(PARTS).map(([part, source]) =>
      esbuild({
        ...options,
        entryPoints: { [part]: source },
        plugins: [partFiles, leanClient, seldomUsed(part in VERBS ? COMMANDS_USE_SELDOM : SELDOM_USED), nodeModules],
        banner: { js: "(function(exports,require,module,__dirname){" },
        footer: { js: "})" },
      }),
    ),
    esbuild({ ...options, entryPoints: Object.fromEntries(packages.map((name) => [name, name])) }),
  ]);
  const inputs = outputs.flatMap(({ metafile }) => Object.keys(metafile.inputs));
  const sbom = await bundleSbom(root, inputs);
  await writeFile(path.join(folder, "sbom.cdx.json"), `${JSON.stringify(sbom, null, 2)}\n`);
  // Node must read the files as CommonJS, whatever a package.json in a folder above says.
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
