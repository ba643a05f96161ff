import { z } from "zod";
import { type Operation, operationSchema } from "../../src/api/operation.ts";
import { type KubeObject, kubeObjectSchema, type Manifest } from "../../src/kube/metadata.ts";
import type { Cluster } from "../cluster/cluster.ts";

interface Request {
  namespace: string;
  name: string;
  parameters?: Record<string, unknown>;
  target?: string;
}

/** An Operation of type Backup, as a user writes it. */
export function backupOperation({ parameters, ...request }: Request): Manifest {
  return operation("Backup", { parameters: parameters ?? {}, ...request });
}

/** An Operation of type Restore; `parameters.backupName` says which Backup. */
export function restoreOperation(request: Request & { parameters: { backupName: string } }): Manifest {
  return operation("Restore", request);
}

function operation(type: string, { namespace, name, parameters, target = "shop" }: Request): Manifest {
  return {
    apiVersion: "ops.vworkspace.io/v1alpha1",
    kind: "Operation",
    metadata: { name, namespace },
    spec: {
      targetRef: { apiVersion: "apps.vworkspace.io/v1alpha1", kind: "ApplicationInstance", name: target },
      type,
      engine: "velero",
      parameters,
    },
  };
}

/** Reads one Operation. Throws with kubectl's words when there is none. */
export async function readOperation(cluster: Cluster, namespace: string, name: string): Promise<Operation> {
  const answer = await cluster.kubectl(["get", "operation", name, "-n", namespace, "-o", "json"]);
  if (answer.code !== 0) throw new Error(answer.stderr);
  return operationSchema.parse(JSON.parse(answer.stdout));
}

const objectList = z.object({ items: z.array(kubeObjectSchema) });

/** Reads the objects that `kubectl get` selects with these arguments. */
export async function listObjects(cluster: Cluster, args: readonly string[]): Promise<KubeObject[]> {
  const answer = await cluster.kubectl(["get", ...args, "-o", "json"]);
  if (answer.code !== 0) throw new Error(answer.stderr);
  return objectList.parse(JSON.parse(answer.stdout)).items;
}
