import type { Access } from "../access.ts";
import { kubectl } from "./kubernetesObjects.ts";

const NAME = "params-stay-watched.operation-runner.test";

/**
 * Installs an admission policy that concerns nothing and has a ConfigMap as its parameter.
 *
 * When the last policy with ConfigMaps goes, an API server stops watching them, and it does not begin again for the next
 * one: until it is restarted it judges by what it saw last. The shipped policies go between test files; this one stays.
 */
export async function keepParamsWatched(access: Access): Promise<void> {
  const apiVersion = "admissionregistration.k8s.io/v1";
  await access.apply([
    {
      apiVersion,
      kind: "ValidatingAdmissionPolicy",
      metadata: { name: NAME },
      spec: {
        paramKind: { apiVersion: "v1", kind: "ConfigMap" },
        matchConstraints: {
          resourceRules: [
            {
              apiGroups: ["operation-runner.test"],
              apiVersions: ["*"],
              resources: ["nothing"],
              operations: ["CREATE"],
            },
          ],
        },
        validations: [{ expression: "true" }],
      },
    },
    {
      apiVersion,
      kind: "ValidatingAdmissionPolicyBinding",
      metadata: { name: NAME },
      spec: {
        policyName: NAME,
        paramRef: { name: NAME, namespace: "default", parameterNotFoundAction: "Allow" },
        validationActions: ["Deny"],
      },
    },
  ]);
}

/** Takes that policy away again. */
export async function stopWatchingParams(access: Access): Promise<void> {
  const kinds = "validatingadmissionpolicybindings,validatingadmissionpolicies";
  await kubectl(access, ["delete", kinds, NAME, "--ignore-not-found"]);
}
