import { applicationInstances } from "../../src/api/applicationInstance.ts";
import type { KubeClient } from "../../src/kube/client.ts";
import { configMaps, namespaces } from "../../src/kube/resources.ts";
import { inParallel } from "./pool.ts";

/** Namespaces with a small application in each, none of which runs anything. Answers their names. */
export async function createTeams(client: KubeClient, prefix: string, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, at) => `${prefix}-${String(at).padStart(2, "0")}`);
  await inParallel(names, 8, async (namespace) => {
    await client.create(namespaces, { metadata: { name: namespace } });
    for (const name of ["settings", "texts"]) {
      await client.create(configMaps, { metadata: { namespace, name }, data: { welcome: "to the shop" } });
    }
    await client.create(applicationInstances, { metadata: { namespace, name: "shop" }, spec: {} });
  });
  return names;
}
