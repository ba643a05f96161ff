import { z } from "zod";
import type { Access } from "../access.ts";

const object = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().optional(),
    deletionTimestamp: z.string().optional(),
    finalizers: z.array(z.string()).optional(),
  }),
});

/** Runs kubectl and answers what it prints. Throws with its words when it fails. */
export async function kubectl(access: Access, args: readonly string[], input?: string): Promise<string> {
  const answer = await access.kubectl(args, input === undefined ? {} : { input });
  if (answer.code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${answer.stderr.trim()}`);
  return answer.stdout;
}

/** Reads one object as far as `schema` knows it; undefined when there is none. */
export async function read<T>(
  access: Access,
  schema: z.ZodType<T>,
  kind: string,
  namespace: string,
  name: string,
): Promise<T | undefined> {
  const found = await kubectl(access, ["get", kind, name, "-n", namespace, "--ignore-not-found", "-o", "json"]);
  return found === "" ? undefined : schema.parse(JSON.parse(found));
}

/** Those of the resources, `plural.group`, that the cluster knows. */
export async function known(access: Access, resources: readonly string[]): Promise<string[]> {
  const all = (await kubectl(access, ["api-resources", "--verbs=list,delete", "-o", "name"])).split("\n");
  return resources.filter((resource) => all.includes(resource));
}

/** All objects of a resource, in every namespace. None of one that the cluster has just forgotten, its CRD being deleted. */
export async function listAll(access: Access, resource: string): Promise<z.infer<typeof object>[]> {
  const answer = await access.kubectl(["get", resource, "--all-namespaces", "-o", "json"]);
  if (/doesn't have a resource type|could not find the requested resource/.test(answer.stderr)) return [];
  if (answer.code !== 0) throw new Error(`kubectl get ${resource}: ${answer.stderr.trim()}`);
  return z.object({ items: z.array(object) }).parse(JSON.parse(answer.stdout)).items;
}
