import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { parse, stringify } from "yaml";
import { z } from "zod";

/** The test cluster's Go modules: what is installed is what is tested. */
const modules = join(import.meta.dirname, "../../test/cluster/modules");

/**
 * Velero's CRDs as one YAML file, labelled as `velero install` labels them.
 *
 * @param pinnedBy the test cluster's Go module that pins Velero's version; the one which is installed by default
 * @throws when Go is missing or the module cannot be downloaded; Go's own words are in the message
 */
export function veleroCrds(pinnedBy = "velero"): Promise<string> {
  return moduleCrds({
    pinnedBy,
    module: "github.com/vmware-tanzu/velero",
    folders: ["config/crd/v1/bases", "config/crd/v2alpha1/bases"],
    group: "velero.io",
    labels: { component: "velero" },
  });
}

/**
 * The CRDs VolumeSnapshot, VolumeSnapshotContent and VolumeSnapshotClass as one YAML file.
 *
 * @throws as {@link veleroCrds}
 */
export function snapshotCrds(): Promise<string> {
  return moduleCrds({
    pinnedBy: "snapshotter",
    module: "github.com/kubernetes-csi/external-snapshotter/client/v8",
    folders: ["config/crd"],
    group: "snapshot.storage.k8s.io",
  });
}

interface Source {
  /** The folder whose go.mod pins the module's version. */
  readonly pinnedBy: string;
  readonly module: string;
  /** Where in the module CRDs lie, one a file, named group_plural.yaml. */
  readonly folders: readonly string[];
  readonly group: string;
  readonly labels?: Readonly<Record<string, string>>;
}

async function moduleCrds(source: Source): Promise<string> {
  const { Dir, Version } = await download(source);
  const documents: string[] = [];
  for (const folder of source.folders) {
    for (const name of (await readdir(join(Dir, folder))).sort()) {
      if (!name.startsWith(`${source.group}_`)) continue;
      documents.push(labelled(await readFile(join(Dir, folder, name), "utf8"), source.labels));
    }
  }
  return `# Generated from ${source.module} ${Version} by \`npm run generate\`; do not edit.\n---\n${documents.join("---\n")}`;
}

/** Some releases carry an empty status, which is the server's to write: it is left out. */
const crdSchema = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({}),
  spec: z.looseObject({}),
});

/** One CRD with these labels; the style of the YAML is ours, so that a formatter has nothing to say. */
function labelled(yaml: string, labels: Source["labels"]): string {
  const crd = crdSchema.parse(parse(yaml));
  if (labels !== undefined) crd.metadata.labels = labels;
  return stringify(crd, { lineWidth: 0 });
}

const downloadSchema = z.object({ Dir: z.string(), Version: z.string() });

/** Where Go keeps the module at the pinned version; downloads it if it is not there yet. */
async function download(source: Source): Promise<z.infer<typeof downloadSchema>> {
  const args = ["mod", "download", "-json", source.module];
  try {
    const { stdout } = await promisify(execFile)("go", args, { cwd: join(modules, source.pinnedBy) });
    return downloadSchema.parse(JSON.parse(stdout));
  } catch (error) {
    throw new Error(`go ${args.join(" ")}: ${reason(error)}`, { cause: error });
  }
}

const failedSchema = z.object({ stdout: z.string(), message: z.string() });

/** What Go says about a module it cannot get stands in its answer, not on stderr. */
function reason(error: unknown): string {
  const failed = failedSchema.safeParse(error);
  return failed.success ? failed.data.stdout.trim() || failed.data.message : String(error);
}
