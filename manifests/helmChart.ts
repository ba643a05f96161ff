import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { isDeepStrictEqual, promisify } from "node:util";
import { Document, parseAllDocuments, stringify } from "yaml";
import { z } from "zod";
import { ensurePrograms } from "../test/cluster/toolchain/toolchain.ts";
import { schemaOf, valuesTable, valuesYaml } from "./helmReferences.ts";
import { type ChartObject, Templates } from "./helmTemplates.ts";
import { chartValues } from "./helmValues.ts";

/**
 * The Helm chart, made from what kustomize builds: (1) kustomize builds manifests, manifests/velero, and manifests with
 * each component; (2) what a component adds gets a condition, policies and namespaces get theirs; (3) the places that
 * helmValues.ts lists become template expressions, and nothing else changes; (4) values.yaml, its schema and the README's
 * table come from the same list, and the version from package.json. docs/contract.md#helm-chart.
 */

const folder = "manifests/helm";
const root = path.join(import.meta.dirname, "..");
/** Components for a namespace of a team's, which a release is not. */
export const NOT_IN_CHART: readonly string[] = ["drill", "operation-quota", "recurring"];
const NOTICE = "# Generated from manifests by `npm run generate`; do not edit.\n";
/** Labels and Pod Security would come upon everything else that is there. */
const GUARD = `{{- if or (eq .Release.Namespace "default") (hasPrefix "kube-" .Release.Namespace) }}
{{- fail (printf "the release's namespace is %s, and must be one of its own: helm install -n vworkspace-system --create-namespace" .Release.Namespace) }}
{{- end }}
`;

/**
 * Every file of the chart that is generated, by its path in the repository. The first call builds kubectl if the test
 * cluster's cache has none.
 */
export async function helmChart(): Promise<Record<string, string>> {
  const { version } = packageSchema.parse(JSON.parse(await readFile(path.join(root, "package.json"), "utf8")));
  const base = await build(["manifests"]);
  const velero = await build(["manifests/velero"]);
  const components = await allComponents(base);
  const values = chartValues(version, new Map([...components].map(([name, { what }]) => [name, what])));
  const templates = new Templates(values, base);
  const always = base.map((document) => ({ document, condition: baseCondition(document) }));
  const crds = always.filter(({ document }) => isCrd(document));
  const policies = always.filter(({ document }) => isPolicy(document));
  const others = always.filter(({ document }) => !isCrd(document) && !isPolicy(document));
  const extraEnv = [...components].flatMap(([name, { env }]) =>
    env.map((entry) => ({ entry, condition: componentOn(name) })),
  );
  const files = {
    "Chart.yaml": NOTICE + stringify(chart(version)),
    "values.yaml": NOTICE + valuesYaml(templates.values),
    "values.schema.json": schemaOf(templates.values),
    "README.md": await readme(valuesTable(templates.values)),
    "templates/crds.yaml": NOTICE + templates.render(crds),
    "templates/policies.yaml": NOTICE + templates.render(policies),
    "templates/dispatcher.yaml": NOTICE + GUARD + templates.render(others, extraEnv),
    "templates/components.yaml": NOTICE + templates.render(componentObjects(components)),
    "templates/velero.yaml":
      NOTICE + templates.render(velero.map((document) => ({ document, condition: veleroCondition(document) }))),
  };
  templates.checkAllFound();
  return Object.fromEntries(Object.entries(files).map(([name, content]) => [`${folder}/${name}`, content]));
}

/** The README, with the table of the values between its two marks. */
async function readme(table: string): Promise<string> {
  const written = await readFile(path.join(root, folder, "README.md"), "utf8");
  return written.replace(
    /(<!-- values -->\n).*(<!-- end of values -->)/s,
    (_, before, after) => before + table + after,
  );
}

const packageSchema = z.object({ version: z.string() });
const isCrd = (document: Document) => document.get("kind") === "CustomResourceDefinition";
const isPolicy = (document: Document) => String(document.get("kind")).startsWith("ValidatingAdmissionPolicy");

const chart = (version: string) => ({
  apiVersion: "v2",
  name: "operation-runner",
  description: "Backups and restores as requests: one Kubernetes Job per Operation, carried out by Velero",
  type: "application",
  version,
  appVersion: version,
  kubeVersion: ">=1.30.0-0",
  home: "https://github.com/vworkspace-io/operation-runner",
  sources: ["https://github.com/vworkspace-io/operation-runner"],
});

function baseCondition(document: Document): string | undefined {
  if (isPolicy(document)) return ".Values.policies.enabled";
  return document.get("kind") === "Namespace" ? ".Values.namespace.create" : undefined;
}

function veleroCondition(document: Document): string {
  const isSnapshot = document.getIn(["spec", "group"]) === "snapshot.storage.k8s.io";
  return isSnapshot ? "and .Values.velero.enabled .Values.velero.snapshotCrds" : ".Values.velero.enabled";
}

const componentOn = (name: string) => `.Values.components.${name}`;

/** What kustomize builds of these folders and components, both relative to the repository. */
async function build(resources: readonly string[], components: readonly string[] = []): Promise<Document[]> {
  const { kubectl } = await ensurePrograms(["kubectl"], { env: process.env, progress: console.error });
  const overlay = await realpath(await mkdtemp(path.join(os.tmpdir(), "chart-")));
  try {
    const from = (names: readonly string[]) => names.map((name) => path.relative(overlay, path.join(root, name)));
    const kustomization = { resources: from(resources), components: from(components) };
    await writeFile(path.join(overlay, "kustomization.yaml"), stringify(kustomization));
    const { stdout } = await promisify(execFile)(kubectl, ["kustomize", overlay], { maxBuffer: 1e8 });
    // Helm reads YAML 1.1, in which a plain `on` is no text.
    return parseAllDocuments(stdout).map((document) => new Document(document.toJS(), { version: "1.1" }));
  } finally {
    await rm(overlay, { recursive: true });
  }
}

interface Component {
  readonly what: string;
  readonly objects: readonly Document[];
  readonly env: readonly unknown[];
}

/** Each component by the name of its value: what it adds to the manifests. */
async function allComponents(base: readonly Document[]): Promise<Map<string, Component>> {
  const all = new Map<string, Component>();
  for (const name of (await readdir(path.join(root, "manifests/components"))).sort()) {
    if (NOT_IN_CHART.includes(name)) continue;
    const with_ = await build(["manifests"], [`manifests/components/${name}`]);
    const before = new Map(base.map((document) => [idOf(document), document]));
    const changed = with_.filter((document) => !isDeepStrictEqual(before.get(idOf(document))?.toJS(), document.toJS()));
    all.set(
      name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()),
      {
        what: `The component \`${name}\` (manifests/README.md).`,
        objects: changed.filter((document) => !before.has(idOf(document))),
        env: changed.flatMap((document) => {
          const original = before.get(idOf(document));
          return original === undefined ? [] : addedEnv(original, document);
        }),
      },
    );
  }
  return all;
}

const ENV = ["spec", "template", "spec", "containers", 0, "env"];

/** @throws Error when a component changes anything else of what is there: the chart could not say so */
function addedEnv(before: Document, after: Document): unknown[] {
  const [old, now] = [before, after].map((document) => {
    const copy = document.clone();
    const env = copy.getIn(ENV, true);
    copy.deleteIn(ENV);
    return { rest: copy.toJS(), env: new Document(env).toJS() as unknown[] };
  });
  if (!isDeepStrictEqual(old?.rest, now?.rest)) throw new Error(`a component changes ${idOf(after)} beyond its env`);
  return (now?.env ?? []).filter((entry) => !old?.env.some((each) => isDeepStrictEqual(each, entry)));
}

/** What several components bring, such as what `hardened` includes, is there once. */
function componentObjects(components: ReadonlyMap<string, Component>): ChartObject[] {
  const byId = new Map<string, { document: Document; names: string[] }>();
  for (const [name, { objects }] of components) {
    for (const document of objects) {
      const known = byId.get(idOf(document));
      if (known === undefined) byId.set(idOf(document), { document, names: [name] });
      else known.names.push(name);
    }
  }
  return [...byId.values()].map(({ document, names }) => ({
    document,
    condition: names.length === 1 ? componentOn(names.join()) : `or ${names.map(componentOn).join(" ")}`,
  }));
}

function idOf(document: Document): string {
  return [["apiVersion"], ["kind"], ["metadata", "namespace"], ["metadata", "name"]]
    .map((field) => document.getIn(field))
    .join("/");
}
