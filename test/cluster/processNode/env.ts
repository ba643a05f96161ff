import type { V1ConfigMap, V1Container, V1EnvVar, V1Pod, V1Secret } from "@kubernetes/client-node";

/** The objects a container's variables refer to, by name; one that is missing in the cluster is missing here. */
export interface EnvSources {
  configMaps: ReadonlyMap<string, V1ConfigMap>;
  secrets: ReadonlyMap<string, V1Secret>;
}

/** A container that cannot be configured yet; the message is the one a kubelet shows beside CreateContainerConfigError. */
export class ConfigError extends Error {}

/** Names of the ConfigMaps and Secrets that a container's variables refer to. */
export function envReferences(container: V1Container): { configMaps: string[]; secrets: string[] } {
  const configMaps = new Set<string>();
  const secrets = new Set<string>();
  for (const { configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef?.name) configMaps.add(configMapRef.name);
    if (secretRef?.name) secrets.add(secretRef.name);
  }
  for (const { valueFrom } of container.env ?? []) {
    if (valueFrom?.configMapKeyRef?.name) configMaps.add(valueFrom.configMapKeyRef.name);
    if (valueFrom?.secretKeyRef?.name) secrets.add(valueFrom.secretKeyRef.name);
  }
  return { configMaps: [...configMaps], secrets: [...secrets] };
}

/**
 * A container's variables, in the kubelet's order: envFrom first, then env, where a later entry may use an earlier one
 * as `$(NAME)`.
 *
 * @throws ConfigError when a ConfigMap, a Secret or a key that is not optional is missing
 */
export function resolveEnv(container: V1Container, pod: V1Pod, sources: EnvSources): Record<string, string> {
  const env: Record<string, string> = {};
  for (const { prefix = "", configMapRef, secretRef } of container.envFrom ?? []) {
    const data =
      configMapRef !== undefined
        ? configMapData(configMapRef.name, configMapRef.optional, sources)
        : secretRef !== undefined
          ? secretData(secretRef.name, secretRef.optional, sources)
          : undefined;
    for (const [key, value] of Object.entries(data ?? {})) env[prefix + key] = value;
  }
  for (const variable of container.env ?? []) {
    const value = variableValue(variable, pod, sources, env);
    if (value !== undefined) env[variable.name] = value;
  }
  return env;
}

/** Expands `$(NAME)` as Kubernetes does: `$$` is a dollar, and a name that is not known stays as it is. */
export function expand(text: string, env: Readonly<Record<string, string>>): string {
  return text.replace(/\$\$|\$\(([^)]*)\)/g, (found, name: string | undefined) =>
    name === undefined ? "$" : (env[name] ?? found),
  );
}

/**
 * The value of a downward API field of a pod, such as `metadata.labels['app']`; the pod's address is the loopback one.
 *
 * @throws ConfigError for a field that the downward API does not offer
 */
export function podField(pod: V1Pod, fieldPath: string): string {
  const { metadata, spec } = pod;
  const entry = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(fieldPath);
  if (entry !== null) {
    const [, kind, key = ""] = entry;
    return (kind === "labels" ? metadata?.labels : metadata?.annotations)?.[key] ?? "";
  }
  switch (fieldPath) {
    case "metadata.name":
      return metadata?.name ?? "";
    case "metadata.namespace":
      return metadata?.namespace ?? "";
    case "metadata.uid":
      return metadata?.uid ?? "";
    case "metadata.labels":
      return keyValueLines(metadata?.labels);
    case "metadata.annotations":
      return keyValueLines(metadata?.annotations);
    case "spec.nodeName":
      return spec?.nodeName ?? "";
    case "spec.serviceAccountName":
      return spec?.serviceAccountName ?? "";
    case "status.podIP":
    case "status.podIPs":
    case "status.hostIP":
    case "status.hostIPs":
      return "127.0.0.1";
    default:
      throw new ConfigError(`unsupported fieldPath: ${fieldPath}`);
  }
}

function variableValue(
  { name, value, valueFrom }: V1EnvVar,
  pod: V1Pod,
  sources: EnvSources,
  env: Readonly<Record<string, string>>,
): string | undefined {
  if (valueFrom === undefined) return expand(value ?? "", env);
  const { fieldRef, configMapKeyRef, secretKeyRef } = valueFrom;
  if (fieldRef !== undefined) return podField(pod, fieldRef.fieldPath);
  if (configMapKeyRef !== undefined) {
    const { name: from = "", key, optional } = configMapKeyRef;
    const found = configMapData(from, optional, sources)?.[key];
    if (found === undefined && !optional) throw new ConfigError(`couldn't find key ${key} in ConfigMap ${from}`);
    return found;
  }
  if (secretKeyRef !== undefined) {
    const { name: from = "", key, optional } = secretKeyRef;
    const found = secretData(from, optional, sources)?.[key];
    if (found === undefined && !optional) throw new ConfigError(`couldn't find key ${key} in Secret ${from}`);
    return found;
  }
  throw new ConfigError(`the process node does not honour valueFrom of variable ${name}`);
}

function configMapData(
  name = "",
  optional: boolean | undefined,
  { configMaps }: EnvSources,
): Record<string, string> | undefined {
  const found = configMaps.get(name);
  if (found === undefined && !optional) throw new ConfigError(`configmap "${name}" not found`);
  return found === undefined ? undefined : (found.data ?? {});
}

function secretData(
  name = "",
  optional: boolean | undefined,
  { secrets }: EnvSources,
): Record<string, string> | undefined {
  const found = secrets.get(name);
  if (found === undefined && !optional) throw new ConfigError(`secret "${name}" not found`);
  if (found === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(found.data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")]),
  );
}

const keyValueLines = (entries: Record<string, string> = {}): string =>
  Object.entries(entries)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join("\n");
