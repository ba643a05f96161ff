import * as z from "zod";
import type { RunnerSettings } from "./context.ts";

/** An environment variable that is set to nothing counts as not set: the Job templates leave some empty. */
const text = z
  .string()
  .transform((value) => (value === "" ? undefined : value))
  .optional();
const required = (what: string) => z.string(`must be set to ${what}`).min(1, `must be set to ${what}`);

const environmentSchema = z.object({
  OPERATION_NAMESPACE: required("the namespace of the Operation"),
  OPERATION_NAME: required("the name of the Operation"),
  OPERATION_UID: text,
  JOB_NAME: text,
  JOB_UID: text,
  POD_NAMESPACE: text,
  VELERO_NAMESPACE: text,
  CLUSTER_ID: text,
  TERMINATION_MESSAGE_PATH: text,
});

/** The environment does not say what to do. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

/**
 * Reads the settings of one run from the environment that the Job template gives it.
 *
 * @throws SettingsError naming every variable that is missing
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
      namespace: values.POD_NAMESPACE ?? "vworkspace-system",
    },
    veleroNamespace: values.VELERO_NAMESPACE ?? "velero",
    clusterId: values.CLUSTER_ID,
    terminationMessagePath: values.TERMINATION_MESSAGE_PATH ?? "/dev/termination-log",
  };
}
