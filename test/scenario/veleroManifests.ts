import { parseAllDocuments } from "yaml";
import { z } from "zod";
import { veleroCrds } from "../../manifests/velero/moduleCrds.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { shippedVelero, veleroModule } from "../cluster/veleroVersion.ts";

const SHIPPED = "manifests/velero";

const object = z.looseObject({
  kind: z.string(),
  spec: z.looseObject({ group: z.string().optional() }).optional(),
});

/**
 * What installs the Velero that `OPERATION_RUNNER_VELERO` names, as {@link Cluster.apply} takes it: the shipped manifests
 * as they are, or, for another version, with that version's CRDs in place of the shipped ones. Its server needs no change
 * there: the cluster decides which Velero stands for the image.
 */
export async function veleroManifests(cluster: Cluster, env: NodeJS.ProcessEnv): Promise<string | object[]> {
  const module = veleroModule(env);
  if (module === shippedVelero) return SHIPPED;
  const shipped = await cluster.kubectl(["kustomize", SHIPPED]);
  if (shipped.code !== 0) throw new Error(shipped.stderr);
  const others = objectsIn(shipped.stdout).filter(
    ({ kind, spec }) => kind !== "CustomResourceDefinition" || spec?.group !== "velero.io",
  );
  return [...objectsIn(await veleroCrds(module)), ...others];
}

function objectsIn(yaml: string): z.infer<typeof object>[] {
  return parseAllDocuments(yaml).map((document) => object.parse(document.toJS()));
}
