import { readFile } from "node:fs/promises";
import path from "node:path";
import { veleroModule } from "../veleroVersion.ts";

/** Where the Go modules lie, each with the versions of what it builds pinned in its go.mod. */
const modulesFolder = path.join(import.meta.dirname, "..", "modules");

interface Program {
  /** Folder under `modules/` whose go.mod pins the version, or which one it is in an environment. */
  readonly module: string | ((env: NodeJS.ProcessEnv) => string);
  /** The Go package with the program's `main`. */
  readonly package: string;
  /** Linker variables that tell the program its version; `version(module)` reads it from go.mod. */
  readonly stamps?: (version: (module: string) => string) => Record<string, string>;
}

/** Kubernetes programs without a version report v0.0.0, and kubectl then refuses to compare itself with the server. */
function kubernetesVersion(version: (module: string) => string): Record<string, string> {
  const gitVersion = version("k8s.io/kubernetes");
  const [major = "", minor = ""] = gitVersion.slice(1).split(".");
  const variable = "k8s.io/component-base/version";
  return { [`${variable}.gitVersion`]: gitVersion, [`${variable}.gitMajor`]: major, [`${variable}.gitMinor`]: minor };
}

const veleroLibrary = "github.com/vmware-tanzu/velero";

const table = {
  etcd: { module: "kubernetes", package: "go.etcd.io/etcd/server/v3" },
  "kube-apiserver": {
    module: "kubernetes",
    package: "k8s.io/kubernetes/cmd/kube-apiserver",
    stamps: kubernetesVersion,
  },
  "kube-controller-manager": {
    module: "kubernetes",
    package: "k8s.io/kubernetes/cmd/kube-controller-manager",
    stamps: kubernetesVersion,
  },
  kubectl: { module: "kubernetes", package: "k8s.io/kubernetes/cmd/kubectl", stamps: kubernetesVersion },
  versitygw: { module: "objectstore", package: "github.com/versity/versitygw/cmd/versitygw" },
  velero: {
    module: veleroModule,
    package: "./server",
    stamps: (version) => ({
      [`${veleroLibrary}/pkg/buildinfo.Version`]: version(veleroLibrary),
    }),
  },
  // Of one version for all: it is a process of its own, and the protocol between the two has not changed.
  "velero-plugin-for-aws": {
    module: "velero",
    package: "github.com/vmware-tanzu/velero-plugin-for-aws/velero-plugin-for-aws",
  },
  /** With which its image copies the plugin to where Velero looks for it. */
  "cp-plugin": { module: "velero", package: "github.com/vmware-tanzu/velero-plugin-for-aws/hack/cp-plugin" },
  "snapshot-controller": {
    module: "snapshotter",
    package: "github.com/kubernetes-csi/external-snapshotter/v8/cmd/snapshot-controller",
  },
  "csi-snapshotter": {
    module: "snapshotter",
    package: "github.com/kubernetes-csi/external-snapshotter/v8/cmd/csi-snapshotter",
  },
  application: { module: "application", package: "." },
  kind: { module: "kind", package: "sigs.k8s.io/kind" },
  /** Checks .github/workflows. */
  actionlint: { module: "actionlint", package: "github.com/rhysd/actionlint/cmd/actionlint" },
  helm: { module: "helm", package: "helm.sh/helm/v4/cmd/helm" },
  /** Judges objects as kstatus and Argo CD do. */
  "gitops-health": { module: "gitops", package: "." },
  /** Prometheus' own judge of alerts. */
  promtool: { module: "prometheus", package: "github.com/prometheus/prometheus/cmd/promtool" },
  prometheus: { module: "prometheus", package: "github.com/prometheus/prometheus/cmd/prometheus" },
  "csi-double": { module: "snapshotter", package: "./csidouble" },
} satisfies Record<string, Program>;

/** A program the cluster can be made of. */
export type ProgramName = keyof typeof table;

export function isProgramName(name: string): name is ProgramName {
  return Object.hasOwn(table, name);
}

/** Everything `go build` needs to know about one program. */
export interface BuildPlan {
  readonly name: ProgramName;
  /** Folder to run `go build` in. */
  readonly folder: string;
  readonly package: string;
  readonly linkerFlags: string;
}

/** How a program is built; its version comes from the go.mod of its module. */
export async function buildPlan(name: ProgramName, env: NodeJS.ProcessEnv): Promise<BuildPlan> {
  const program: Program = table[name];
  const module = typeof program.module === "string" ? program.module : program.module(env);
  const folder = path.join(modulesFolder, module);
  const goMod = await readFile(path.join(folder, "go.mod"), "utf8");
  const stamps = Object.entries(program.stamps?.((module) => requiredVersion(goMod, module)) ?? {});
  const linkerFlags = ["-s", "-w", ...stamps.map(([variable, value]) => `-X ${variable}=${value}`)].join(" ");
  return { name, folder, package: program.package, linkerFlags };
}

/** The release of Velero that is built in this environment, e.g. "v1.18.3". */
export async function veleroVersion(env: NodeJS.ProcessEnv): Promise<string> {
  const goMod = await readFile(path.join(modulesFolder, veleroModule(env), "go.mod"), "utf8");
  return requiredVersion(goMod, veleroLibrary);
}

/** The release that a program is built from, e.g. "v1.8.0"; undefined for one of the project's own. */
export async function releaseOf(name: ProgramName, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const plan = await buildPlan(name, env);
  if (plan.package.startsWith(".")) return undefined;
  const goMod = await readFile(path.join(plan.folder, "go.mod"), "utf8");
  for (let module = plan.package; module !== "."; module = path.posix.dirname(module)) {
    const found = versionIn(goMod, module);
    if (found !== undefined) return found;
  }
  throw new Error(`go.mod does not require ${plan.package}`);
}

/** The version which a go.mod requires of a module, e.g. "v1.18.3". Throws when it does not name the module. */
export function requiredVersion(goMod: string, module: string): string {
  const version = versionIn(goMod, module);
  if (version === undefined) throw new Error(`go.mod does not require ${module}`);
  return version;
}

function versionIn(goMod: string, module: string): string | undefined {
  for (const line of goMod.split("\n")) {
    const [name, version] = line
      .replace(/^require\s/, "")
      .trim()
      .split(/\s+/);
    if (name === module && version !== undefined) return version;
  }
  return undefined;
}
