import { text } from "node:stream/consumers";
import { extract } from "tar-stream";
import * as z from "zod";

/** The archive of a Backup, as Velero writes it. Velero, pkg/archive/parser.go. */

/** An object that a Backup holds. */
export interface ArchivedObject {
  /** As RBAC names it: `deployments.apps`. */
  readonly resource: string;
  /** `apps/v1/Deployment`, as Velero's list of resources has it. */
  readonly kind: string;
  readonly name: string;
  readonly content: JsonObject;
}

export type JsonObject = z.infer<typeof jsonObjectSchema>;

export const jsonObjectSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    uid: z.string().optional(),
    resourceVersion: z.string().optional(),
    labels: z.record(z.string(), z.string()).optional(),
    annotations: z.record(z.string(), z.string()).optional(),
    ownerReferences: z.array(z.looseObject({ controller: z.boolean().optional() })).optional(),
  }),
});

/** `resources/deployments.apps/namespaces/shop/web.json`; the same objects lie once more below the name of their version. */
const OBJECT = /^resources\/([^/]+)\/namespaces\/([^/]+)\/([^/]+)\.json$/;

/**
 * The objects of one namespace in the archive of a Backup.
 *
 * @param tar the archive, unpacked
 * @throws Error in plain words where it is no whole archive of Velero's
 */
export async function archivedObjects(tar: Buffer, namespace: string): Promise<ArchivedObject[]> {
  const found: ArchivedObject[] = [];
  const entries = extract();
  entries.end(tar);
  for await (const entry of entries) {
    const [, resource = "", of, name = ""] = OBJECT.exec(entry.header.name) ?? [];
    const content = parsed(await text(entry));
    if (of !== namespace) continue;
    if (content?.metadata.name !== name) throw new Error(`${entry.header.name} in the archive is no such object`);
    const { apiVersion, kind } = content;
    found.push({ resource, kind: `${apiVersion}/${kind}`, name, content });
  }
  // Two empty blocks end it: without them it was cut off between two files.
  if (!tar.subarray(-2 * BLOCK).equals(Buffer.alloc(2 * BLOCK))) throw new Error("the archive ends early");
  return found;
}

const BLOCK = 512;

function parsed(json: string): JsonObject | undefined {
  try {
    return jsonObjectSchema.safeParse(JSON.parse(json)).data;
  } catch {
    return undefined;
  }
}
