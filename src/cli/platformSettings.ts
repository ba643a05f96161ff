import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { loadSettings, type Settings } from "../dispatcher/settings.ts";
import type { ConfigMap } from "../kube/resources.ts";
import type { Deployment } from "./doctor/resources.ts";
import type { Seen } from "./seen.ts";

/** The ConfigMap with the dispatcher's settings. */
export const SETTINGS_CONFIG_MAP = "operation-dispatcher-settings";

/**
 * The settings as the dispatcher reads them: its ConfigMap, and over that the environment of its Deployment.
 *
 * @returns a text where they cannot be used: why
 */
export async function platformSettings(
  dispatcher: Seen<Deployment | undefined>,
  configMap: Seen<ConfigMap | undefined>,
  systemNamespace: string,
): Promise<Seen<Settings | string>> {
  if (!configMap.ok) return configMap;
  const containers = (dispatcher.ok ? dispatcher.value?.spec?.template?.spec?.containers : undefined) ?? [];
  const variables = containers.flatMap(({ env }) => env ?? []).filter(({ value }) => value !== undefined);
  const env = Object.fromEntries(variables.map(({ name, value }) => [name, value]));
  const folder = await mkdtemp(path.join(os.tmpdir(), "operation-settings-")).catch(() => undefined);
  if (folder === undefined)
    return { ok: false, why: `no file can be written in ${os.tmpdir()}, which reading them needs` };
  try {
    const file = path.join(folder, "settings.yaml");
    await writeFile(file, configMap.value?.data?.["settings.yaml"] ?? "");
    const read = { ...env, POD_NAMESPACE: systemNamespace, OPERATION_RUNNER_SETTINGS: file };
    return { ok: true, value: await loadSettings(read) };
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    return { ok: true, value: words.replaceAll(folder, SETTINGS_CONFIG_MAP) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
