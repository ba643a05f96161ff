import { applicationInstances } from "../api/applicationInstance.ts";
import { RIGHTS_POLICY } from "../api/crossNamespace.ts";
import { DISPATCHER_NAME } from "../api/names.ts";
import type { VeleroOperation } from "../api/operation.ts";
import { storageLocations } from "../api/velero.ts";
import { rightsPolicySince } from "../dispatcher/state/protection.ts";
import { parseTemplates, TEMPLATES_CONFIG_MAP } from "../dispatcher/templates/parseTemplates.ts";
import { isForbidden, isNoSuchKind, isNotFound } from "../kube/errors.ts";
import type { KubeObject } from "../kube/metadata.ts";
import { qualifiedName, type Resource } from "../kube/resource.ts";
import {
  configMaps,
  namespaces,
  validatingAdmissionPolicies,
  validatingAdmissionPolicyBindings,
  volumeSnapshotClasses,
} from "../kube/resources.ts";
import type { SeenWorld } from "./admission.ts";
import type { Context } from "./context.ts";
import { deployments } from "./doctor/resources.ts";
import { platformSettings, SETTINGS_CONFIG_MAP } from "./platformSettings.ts";
import { may } from "./rights.ts";
import type { Seen } from "./seen.ts";

/** Reads what the dispatcher's checks look at, as far as the caller may; asks for nothing that they may not have. */
export async function admissionView(
  { metadata: { namespace }, spec }: VeleroOperation,
  { systemNamespace, veleroNamespace }: { readonly systemNamespace: string; readonly veleroNamespace: string },
  context: Context,
): Promise<SeenWorld> {
  const one = <T extends KubeObject>(resource: Resource<T>, where: string | undefined, name: string) =>
    oneOf(resource, { namespace: where, name }, context);
  const [configMap, dispatcher, templates, policy, binding, target, own, classes, locations] = await Promise.all([
    one(configMaps, systemNamespace, SETTINGS_CONFIG_MAP),
    one(deployments, systemNamespace, DISPATCHER_NAME),
    one(configMaps, systemNamespace, TEMPLATES_CONFIG_MAP),
    one(validatingAdmissionPolicies, undefined, RIGHTS_POLICY),
    one(validatingAdmissionPolicyBindings, undefined, RIGHTS_POLICY),
    one(applicationInstances, namespace, spec.targetRef.name),
    one(namespaces, namespace, namespace),
    all(volumeSnapshotClasses, undefined, context),
    all(storageLocations, veleroNamespace, context),
  ]);
  const settings = await platformSettings(dispatcher, configMap, systemNamespace);
  return {
    now: context.now(),
    settings:
      settings.ok && typeof settings.value === "string"
        ? { ok: false, why: `the dispatcher's settings cannot be used: ${settings.value}` }
        : (settings as SeenWorld["settings"]),
    templates: templates.ok ? { ok: true, value: parseTemplates(templates.value) } : templates,
    rightsPolicySince: !policy.ok
      ? policy
      : !binding.ok
        ? binding
        : { ok: true, value: rightsPolicySince(policy.value, binding.value) },
    ...{ target, namespace: own, snapshotClasses: classes, locations },
  };
}

async function oneOf<T extends KubeObject>(
  resource: Resource<T>,
  { namespace, name }: { namespace: string | undefined; name: string },
  { access, interrupt }: Context,
): Promise<Seen<T | undefined>> {
  const noRight = `no right to see ${qualifiedName(resource)}/${name}${namespace === undefined ? "" : ` in namespace ${namespace}`}`;
  if (!(await may(access, { verb: "get", resource, namespace, name }, interrupt))) return { ok: false, why: noRight };
  return await read<T | undefined>(noRight, undefined, () =>
    access.client.get(resource, { namespace, name }, { signal: interrupt }),
  );
}

async function all<T extends KubeObject>(
  resource: Resource<T>,
  namespace: string | undefined,
  { access, interrupt }: Context,
): Promise<Seen<readonly T[]>> {
  const noRight = `no right to see ${qualifiedName(resource)}${namespace === undefined ? "" : ` in namespace ${namespace}`}`;
  if (!(await may(access, { verb: "list", resource, namespace }, interrupt))) return { ok: false, why: noRight };
  const options = { signal: interrupt, onMalformed: () => {} };
  return await read<readonly T[]>(
    noRight,
    [],
    async () => (await access.client.list(resource, { namespace }, options)).items,
  );
}

async function read<T>(noRight: string, none: T, call: () => Promise<T>): Promise<Seen<T>> {
  try {
    return { ok: true, value: await call() };
  } catch (error) {
    if (isNotFound(error) || isNoSuchKind(error)) return { ok: true, value: none };
    if (isForbidden(error)) return { ok: false, why: noRight };
    throw error;
  }
}
