import { Label } from "../api/labels.ts";
import type { Operation } from "../api/operation.ts";
import { backups, restores, type VeleroObject } from "../api/velero.ts";
import { isForbidden, isNoSuchKind, isNotFound } from "../kube/errors.ts";
import type { KubeObject } from "../kube/metadata.ts";
import type { Resource } from "../kube/resource.ts";
import { type Event, events, type Job, jobs, type Pod, pods } from "../kube/resources.ts";
import type { Context } from "./context.ts";
import type { PlatformView } from "./description.ts";
import { may } from "./rights.ts";

/** Reads what lies in the platform's namespaces, as far as the caller may; asks for nothing that they may not have. */
export async function platformView(operation: Operation, context: Context): Promise<PlatformView> {
  const { engineRef, runner } = operation.status ?? {};
  const kind: Resource<VeleroObject> = engineRef?.kind === restores.kind ? restores : backups;
  const [velero, job, found] = await Promise.all([
    one(kind, { namespace: engineRef?.namespace, name: engineRef?.name }, context),
    one<Job>(jobs, { namespace: runner?.jobNamespace, name: runner?.jobName }, context),
    podsOf(operation, context),
  ]);
  // Of another uid it is another one, made under that name since.
  const isOurs = !velero || engineRef?.uid === undefined || velero.metadata.uid === engineRef.uid;
  return { velero: isOurs ? velero : null, job, pods: found };
}

/** The pods that work, or worked, on the attempt; undefined where there is no right to see them. */
export async function podsOf({ metadata, status }: Operation, context: Context): Promise<Pod[] | undefined> {
  const { access, interrupt } = context;
  const namespace = status?.runner?.jobNamespace;
  if (namespace === undefined) return [];
  if (!(await may(access, { verb: "list", resource: pods, namespace }, interrupt))) return undefined;
  const labelSelector = `${Label.operation}=${metadata.uid}`;
  const { items } = await access.client.list(pods, { namespace, labelSelector }, { signal: interrupt });
  return items;
}

/** The Events of an Operation, in its own namespace; undefined where there is no right to see them. */
export async function eventsOf({ metadata }: Operation, { access, interrupt }: Context): Promise<Event[] | undefined> {
  const { namespace, name, uid } = metadata;
  const fieldSelector = `involvedObject.name=${name}`;
  try {
    const { items } = await access.client.list(events, { namespace, fieldSelector }, { signal: interrupt });
    return items.filter(({ involvedObject }) => involvedObject?.uid === uid);
  } catch (error) {
    if (isForbidden(error)) return undefined;
    throw error;
  }
}

async function one<T extends KubeObject>(
  resource: Resource<T>,
  { namespace, name }: { namespace: string | undefined; name: string | undefined },
  { access, interrupt }: Context,
): Promise<T | null | undefined> {
  if (namespace === undefined || name === undefined) return undefined;
  if (!(await may(access, { verb: "get", resource, namespace }, interrupt))) return undefined;
  try {
    return await access.client.get(resource, { namespace, name }, { signal: interrupt });
  } catch (error) {
    if (isNotFound(error) || isNoSuchKind(error)) return null;
    throw error;
  }
}
