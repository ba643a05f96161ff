import { parseDocument } from "yaml";
import type { z } from "zod";
import { DEFAULT_REQUEST_WINDOW } from "../../api/crossNamespace.ts";
import { type OperationType, SUPPORTED_TYPES } from "../../api/operation.ts";
import { DEFAULT_PLATFORM_EXCLUSIONS } from "../../api/platformExclusions.ts";
import type { ConfigMap } from "../../kube/resources.ts";
import type { Settings } from "../settings.ts";
import {
  type JobTemplate,
  type JobTemplates,
  jobTemplateSchema,
  RUNNER_CONTAINER,
  runnerSettings,
  type TemplateState,
} from "./buildJob.ts";

/** The ConfigMap, in the dispatcher's own namespace, with the admin's Job templates. */
export const TEMPLATES_CONFIG_MAP = "operation-jobs";

const FILES: Record<OperationType, string> = { Backup: "backup.yaml", Restore: "restore.yaml" };

/**
 * Reads the Job templates. A broken one stops the Operations of its type, and nobody else's.
 *
 * @param configMap {@link TEMPLATES_CONFIG_MAP}; undefined where it does not exist
 */
export function parseTemplates(configMap: ConfigMap | undefined): JobTemplates {
  return { Backup: parseTemplate(configMap, FILES.Backup), Restore: parseTemplate(configMap, FILES.Restore) };
}

/** @returns what is wrong with a template of whose Jobs the API server refuses these fields */
export function invalidTemplate(type: OperationType, fields: readonly string[]): string {
  return `${place(FILES[type])}: the API server refuses ${[...new Set(fields)].join(", ")}`;
}

function place(file: string): string {
  return `ConfigMap ${TEMPLATES_CONFIG_MAP}, ${file}`;
}

function parseTemplate(configMap: ConfigMap | undefined, file: string): TemplateState {
  const broken = (what: string): TemplateState => ({
    ok: false,
    problem: `${place(file)}: ${what}`,
  });
  if (configMap === undefined) return broken("the ConfigMap does not exist");
  const text = configMap.data?.[file];
  if (text === undefined) return broken("the ConfigMap has no such key");
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error !== undefined) return broken(`no YAML: ${error.message.split("\n")[0]}`);
  const parsed = jobTemplateSchema.safeParse(document.toJS());
  if (parsed.success) return { ok: true, template: parsed.data };
  return broken(parsed.error.issues.map(describe).join("; "));
}

function describe(issue: z.core.$ZodIssue): string {
  return issue.path.length === 0 ? issue.message : `${issue.path.join(".")}: ${issue.message}`;
}

/**
 * What is right in the Jobs that the dispatcher makes, since it fills it in, but wrong in a Job made by hand from the same
 * template: a cluster id, a Velero namespace or anything else that is other than the settings'.
 *
 * @returns one sentence each
 */
export function contradictions(templates: JobTemplates, settings: Settings): string[] {
  return SUPPORTED_TYPES.flatMap((type) => {
    const state = templates[type];
    if (!state.ok) return [];
    return Object.entries(runnerSettings(type, settings)).flatMap(([name, setting]) => {
      const variable = runnerEnv(state.template).find((each) => each.name === name);
      const value = variable?.value || UNSAID[name];
      // A value taken from elsewhere cannot be compared here.
      if (variable?.valueFrom !== undefined || value === setting) return [];
      return [
        `${FILES[type]}: ${name} is ${inQuotes(value)} where the settings say ${inQuotes(setting)}; a Job made by hand would use it`,
      ];
    });
  });
}

/** A list is told as it is written: in quotes of its own. */
function inQuotes(value: string | undefined): string {
  return value?.startsWith("[") ? value : `"${value}"`;
}

/** What the runner takes when its environment says nothing (src/runner/settings.ts). */
const UNSAID: Record<string, string> = {
  CLUSTER_ID: "",
  VELERO_NAMESPACE: "velero",
  HIDE_VELERO_MESSAGES: "false",
  MAX_RUN_TIME: "",
  REQUEST_WINDOW: DEFAULT_REQUEST_WINDOW,
  RESTORE_EXCLUDED_RESOURCES: JSON.stringify(DEFAULT_PLATFORM_EXCLUSIONS),
};

function runnerEnv(template: JobTemplate) {
  return template.spec.template.spec.containers.find(({ name }) => name === RUNNER_CONTAINER)?.env ?? [];
}
