import * as z from "zod";
import { DEFAULT_REQUEST_WINDOW } from "../api/crossNamespace.ts";
import { milliseconds } from "../api/duration.ts";
import { SYSTEM_NAMESPACE } from "../api/names.ts";
import { DEFAULT_PLATFORM_EXCLUSIONS } from "../api/platformExclusions.ts";
import type { RunnerSettings } from "./context.ts";

/** An empty environment variable counts as not set: the Job templates leave some empty. */
const text = z
  .string()
  .transform((value) => (value === "" ? undefined : value))
  .optional();
const required = (what: string) => z.string(`must be set to ${what}`).min(1, `must be set to ${what}`);

/** A list in JSON: an empty list differs from an unset variable. */
const list = text.pipe(
  z.preprocess(
    (value) => (typeof value === "string" ? json(value) : value),
    z.array(z.string(), 'must be a list such as ["limitranges","roles.rbac.authorization.k8s.io"]').optional(),
  ),
);

const duration = (such: string) =>
  text.refine(
    (value) => value === undefined || milliseconds(value) > 0,
    `must be a Go duration greater than 0, such as ${such}`,
  );

const environmentSchema = z.object({
  OPERATION_NAMESPACE: required("the namespace of the Operation"),
  OPERATION_NAME: required("the name of the Operation"),
  OPERATION_UID: text,
  JOB_NAME: text,
  JOB_UID: text,
  POD_NAMESPACE: text,
  VELERO_NAMESPACE: text,
  CLUSTER_ID: text,
  RESTORE_EXCLUDED_RESOURCES: list,
  REQUEST_WINDOW: duration("15m"),
  MAX_RUN_TIME: duration("4h"),
  HIDE_VELERO_MESSAGES: text.refine(
    (value) => value === undefined || value === "true" || value === "false",
    "must be true or false",
  ),
  TERMINATION_MESSAGE_PATH: text,
});

/** The environment lacks a setting, or has a wrong one. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

/**
 * Reads the settings of one run from the environment that the Job template gives it.
 *
 * @throws SettingsError naming every variable that is missing or wrong
 */
export function readSettings(env: NodeJS.ProcessEnv): RunnerSettings {
  const parsed = environmentSchema.safeParse(env);
  if (!parsed.success) {
    throw new SettingsError(parsed.error.issues.map((issue) => `${issue.path.join(".")} ${issue.message}`).join("; "));
  }
  const values = parsed.data;
  return {
    operation: { namespace: values.OPERATION_NAMESPACE, name: values.OPERATION_NAME, uid: values.OPERATION_UID },
    job: {
      name: values.JOB_NAME,
      uid: values.JOB_UID,
      namespace: values.POD_NAMESPACE ?? SYSTEM_NAMESPACE,
    },
    veleroNamespace: values.VELERO_NAMESPACE ?? "velero",
    clusterId: values.CLUSTER_ID,
    restoreExcludedResources: values.RESTORE_EXCLUDED_RESOURCES ?? DEFAULT_PLATFORM_EXCLUSIONS,
    requestWindowMs: milliseconds(values.REQUEST_WINDOW ?? DEFAULT_REQUEST_WINDOW),
    maxRunTime: values.MAX_RUN_TIME,
    hideVeleroMessages: values.HIDE_VELERO_MESSAGES === "true",
    terminationMessagePath: values.TERMINATION_MESSAGE_PATH ?? "/dev/termination-log",
  };
}

function json(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
