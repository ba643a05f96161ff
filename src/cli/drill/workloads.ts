import * as z from "zod";
import { lenient, lenientList, lenientNumber } from "../../kube/lenient.ts";
import type { ArchivedObject, JsonObject } from "./archive.ts";
import type { Objects } from "./comparison.ts";

/** The workloads that a drill with `--run` lets run: which may, and which are ready. Pure. */

const KINDS: ReadonlySet<string> = new Set(["Deployment", "StatefulSet", "DaemonSet"]);

/** What a pod can have for itself; all else is data or a device that others use as well. */
const OWN_VOLUMES: ReadonlySet<string> = new Set(["configMap", "downwardAPI", "emptyDir", "projected", "secret"]);

const containerSchema = z.looseObject({
  ports: lenientList(z.looseObject({ hostPort: lenientNumber })),
  securityContext: lenient(z.looseObject({ privileged: lenient(z.boolean()) })),
});

const podSpecSchema = z.looseObject({
  hostNetwork: lenient(z.boolean()),
  hostPID: lenient(z.boolean()),
  hostIPC: lenient(z.boolean()),
  initContainers: lenientList(containerSchema),
  containers: lenientList(containerSchema),
  volumes: lenientList(z.record(z.string(), z.unknown())),
});

const workloadSchema = z.looseObject({
  metadata: z.looseObject({ name: z.string(), generation: lenientNumber }),
  spec: lenient(z.looseObject({ replicas: lenientNumber, template: lenient(z.looseObject({ spec: podSpecSchema })) })),
  status: lenient(
    z.looseObject({
      observedGeneration: lenientNumber,
      availableReplicas: lenientNumber,
      readyReplicas: lenientNumber,
      desiredNumberScheduled: lenientNumber,
      numberReady: lenientNumber,
    }),
  ),
});

export function isWorkload({ kind }: Pick<JsonObject, "kind">): boolean {
  return KINDS.has(kind);
}

/**
 * Why a workload may not run a second time: it reaches out of its namespace, where no NetworkPolicy holds it, or mounts data that
 * is in use elsewhere.
 *
 * @returns one sentence for each
 */
export function reachingOut(objects: readonly ArchivedObject[]): string[] {
  return objects
    .filter(({ content }) => isWorkload(content))
    .flatMap(({ resource, name, content }) => {
      const parsed = workloadSchema.safeParse(content);
      const pod = parsed.data?.spec?.template?.spec;
      if (pod === undefined) return [`${resource}/${name} has no pod template that can be read`];
      return reachesOf(pod).map((what) => `${resource}/${name} uses ${what}`);
    });
}

function reachesOf({
  hostNetwork,
  hostPID,
  hostIPC,
  initContainers = [],
  containers = [],
  volumes = [],
}: z.infer<typeof podSpecSchema>): string[] {
  const ofNode = Object.entries({ hostNetwork, hostPID, hostIPC }).flatMap(([field, is]) =>
    is === true ? [field] : [],
  );
  const all = [...initContainers, ...containers];
  const opensPort = all.some(({ ports = [] }) => ports.some(({ hostPort = 0 }) => hostPort > 0));
  const isPrivileged = all.some(({ securityContext }) => securityContext?.privileged === true);
  const foreign = volumes
    .flatMap((volume) => Object.keys(volume))
    .filter((key) => key !== "name" && !OWN_VOLUMES.has(key));
  return [
    ...ofNode,
    ...(opensPort ? ["hostPort"] : []),
    ...(isPrivileged ? ["a privileged container"] : []),
    ...new Set(foreign.map((kind) => `a volume of kind ${kind}`)),
  ];
}

/** Which workloads are not ready yet, such as `deployments.apps/web is not ready: 0 of 2 pods`. */
export function notReady(objects: Objects): string[] {
  return [...objects].flatMap(([key, object]) => {
    if (!isWorkload(object)) return [];
    const { metadata, spec, status = {} } = workloadSchema.parse(object);
    const isSeen = (status.observedGeneration ?? 0) >= (metadata.generation ?? 1);
    const wanted = object.kind === "DaemonSet" ? (status.desiredNumberScheduled ?? 0) : (spec?.replicas ?? 1);
    const ready = status.availableReplicas ?? status.readyReplicas ?? status.numberReady ?? 0;
    return isSeen && ready >= wanted ? [] : [`${key} is not ready: ${ready} of ${wanted} pods`];
  });
}
