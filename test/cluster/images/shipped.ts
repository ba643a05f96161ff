import { readFile } from "node:fs/promises";
import path from "node:path";
import { parseAllDocuments } from "yaml";
import { z } from "zod";

const manifests = path.join(import.meta.dirname, "..", "..", "..", "manifests");

const image = z.tuple([z.looseObject({ image: z.string() })]);
const deployment = z.looseObject({
  spec: z.looseObject({
    template: z.looseObject({ spec: z.looseObject({ containers: image, initContainers: image.optional() }) }),
  }),
});

async function podOf(file: string) {
  const [document] = parseAllDocuments(await readFile(path.join(manifests, file), "utf8"));
  return deployment.parse(document?.toJS()).spec.template.spec;
}

/** The images that the shipped manifests name, as they name them. */
export async function shippedImages(): Promise<Record<"operationRunner" | "velero" | "veleroPlugin", string>> {
  const [own, velero] = [await podOf("base/dispatcher.yaml"), await podOf("velero/base/deployment.yaml")];
  const [plugin] = velero.initContainers ?? [];
  if (plugin === undefined) throw new Error("the shipped Velero has no plugin");
  return { operationRunner: own.containers[0].image, velero: velero.containers[0].image, veleroPlugin: plugin.image };
}
