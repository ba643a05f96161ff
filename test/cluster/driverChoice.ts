import { z } from "zod";

const names = ["embedded", "kind", "existing"] as const;

/** Which cluster the e2e tests run on. */
export type DriverChoice =
  | { readonly driver: "embedded" }
  | { readonly driver: "kind" }
  /** Somebody else's, to which this kubeconfig leads. */
  | { readonly driver: "existing"; readonly kubeconfig: string };

/**
 * What `OPERATION_RUNNER_CLUSTER` asks for: "embedded" where it is not set, "kind", or "existing" together with the path in
 * `OPERATION_RUNNER_KUBECONFIG`. A kubeconfig that was not named there is never used.
 *
 * @throws Error that names the choices
 */
export function driverChoice(env: NodeJS.ProcessEnv): DriverChoice {
  const wanted = z.enum(names).safeParse(env.OPERATION_RUNNER_CLUSTER || "embedded");
  if (!wanted.success) {
    throw new Error(`OPERATION_RUNNER_CLUSTER is "${env.OPERATION_RUNNER_CLUSTER}", and can be ${names.join(" or ")}`);
  }
  if (wanted.data !== "existing") return { driver: wanted.data };
  const kubeconfig = env.OPERATION_RUNNER_KUBECONFIG;
  if (!kubeconfig)
    throw new Error("an existing cluster needs the path of its kubeconfig in OPERATION_RUNNER_KUBECONFIG");
  return { driver: "existing", kubeconfig };
}
