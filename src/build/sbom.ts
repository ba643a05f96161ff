import { readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";

const manifestSchema = z.object({ name: z.string(), version: z.string(), license: z.string().optional() });

/** The fields of CycloneDX 1.6 that are filled in. Image scanners read it from `*.cdx.json`. */
interface Sbom {
  readonly bomFormat: "CycloneDX";
  readonly specVersion: "1.6";
  readonly version: 1;
  readonly metadata: { readonly component: Component & { readonly type: "application" } };
  readonly components: readonly Component[];
}

interface Component {
  readonly type: "application" | "library";
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly licenses?: readonly [{ readonly license: { readonly id: string } }];
}

/**
 * The bill of materials of a bundle: every package of which the bundle has a file. A scanner cannot find them by itself, since
 * the image has no node_modules. The result does not depend on when or where it is built.
 *
 * @param root the folder of package.json
 * @param inputs the files that went into the bundle, relative to `root`
 */
export async function bundleSbom(root: string, inputs: readonly string[]): Promise<Sbom> {
  const folders = new Set(inputs.flatMap((file) => packageFolder(file) ?? []));
  const components = await Promise.all([...folders].sort().map((folder) => component(path.join(root, folder))));
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: { ...(await component(root)), type: "application" } },
    components,
  };
}

/** `node_modules/@scope/name` of a file in it, also where one package has its own copy of another. */
function packageFolder(file: string): string | undefined {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0];
}

async function component(folder: string): Promise<Component> {
  const manifest = JSON.parse(await readFile(path.join(folder, "package.json"), "utf8"));
  const { name, version, license } = manifestSchema.parse(manifest);
  const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
  return {
    type: "library",
    name,
    version,
    purl,
    ...(license === undefined ? {} : { licenses: [{ license: { id: license } }] }),
  };
}
