/** The folder under `modules/` of the Velero that the manifests install. */
export const shippedVelero = "velero";

/** The releases of Velero that the cluster can run, each with the Go module that pins it. */
const modules: Readonly<Record<string, string>> = { "1.18": shippedVelero, "1.14": "velero-1.14" };

/**
 * The folder under `modules/` of the Velero that `OPERATION_RUNNER_VELERO` names; the shipped one when it is not set.
 *
 * @throws Error that names the choices, for any other value
 */
export function veleroModule(env: NodeJS.ProcessEnv): string {
  const wanted = env.OPERATION_RUNNER_VELERO;
  if (!wanted) return shippedVelero;
  const module = Object.hasOwn(modules, wanted) ? modules[wanted] : undefined;
  if (module !== undefined) return module;
  throw new Error(`OPERATION_RUNNER_VELERO is "${wanted}", and can be ${Object.keys(modules).join(" or ")}`);
}
