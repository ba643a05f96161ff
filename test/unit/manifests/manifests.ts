import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { z } from "zod";

export const repository = join(import.meta.dirname, "../../..");

const objectSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string().optional(), namespace: z.string().optional() }),
});

export type ManifestObject = z.infer<typeof objectSchema>;

/** Every object in the YAML files of these folders (not of those below), kustomizations left out. */
export function objectsIn(...folders: string[]): ManifestObject[] {
  return folders.flatMap((folder) =>
    readdirSync(join(repository, folder))
      .filter((file) => file.endsWith(".yaml") && file !== "kustomization.yaml")
      .flatMap((file) => parseAllDocuments(readFileSync(join(repository, folder, file), "utf8")))
      .map((document) => objectSchema.parse(document.toJS())),
  );
}
