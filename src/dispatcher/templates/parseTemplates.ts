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

/** The ConfigMap with the admin's Job templates, in the dispatcher's own namespace. */
export const TEMPLATES_CONFIG_MAP = "operation-jobs";

const FILES: Record<OperationType, string> = { Backup: "backup.yaml", Restore: "restore.yaml" };

/**
 * Reads the Job templates. A broken template holds up only the Operations of its type.
 *
 * @param configMap {@link TEMPLATES_CONFIG_MAP}; undefined if it does not exist
 */
export function parseTemplates(configMap: ConfigMap | undefined): JobTemplates {
  return { Backup: parseTemplate(configMap, FILES.Backup), Restore: parseTemplate(configMap, FILES.Restore) };
}

/** @returns what is wrong with a template if the API server refuses the Jobs made from it because of these fields */
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
  if (error !== undefined) return broken(`not valid YAML: ${error.message.split("\n")[0]}`);
  const parsed = jobTemplateSchema.safeParse(document.toJS());
  if (parsed.success) return { ok: true, template: parsed.data };
  return broken(parsed.error.issues.map(describe).join("; "));
}

function describe(issue: z.core.$ZodIssue): string {
  return issue.path.length === 0 ? issue.message : `${issue.path.join(".")}: ${issue.message}`;
}

/**
 * Finds the variables of the templates that contradict the settings, for example another Velero namespace. The dispatcher sets
 * them right in its own Jobs; a Job made by hand from the template would run with them.
 *
 * @returns one sentence for each
 */
export function contradictions(templates: JobTemplates, settings: Settings): string[] {
  return SUPPORTED_TYPES.flatMap((type) => {
    const state = templates[type];
    if (!state.ok) return [];
    return Object.entries(runnerSettings(type, settings)).flatMap(([name, setting]) => {
      const variable = runnerEnv(state.template).find((each) => each.name === name);
      const value = variable?.value || RUNNER_DEFAULTS[name];
      // A value that comes from a Secret, a ConfigMap or a field of the pod cannot be compared here.
      if (variable?.valueFrom !== undefined || value === setting) return [];
      return [
        `${FILES[type]}: ${name} is ${inQuotes(value)} but the settings say ${inQuotes(setting)}; a Job made by hand would use the template's value`,
      ];
    });
  });
}

/** A list is JSON, which has its own quotes. */
function inQuotes(value: string | undefined): string {
  return value?.startsWith("[") ? value : `"${value}"`;
}

/** What the runner takes for a variable that is missing from its environment (src/runner/settings.ts). */
const RUNNER_DEFAULTS: Record<string, string> = {
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
