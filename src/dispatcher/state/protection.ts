import { RIGHTS_POLICY } from "../../api/crossNamespace.ts";
import { operations } from "../../api/operation.ts";
import { objectRules, specRules } from "../../api/rules.ts";
import type { KubeObject } from "../../kube/metadata.ts";
import { qualifiedName } from "../../kube/resource.ts";
import type { CustomResourceDefinition, ValidatingAdmissionPolicyBinding } from "../../kube/resources.ts";

/** Whether this cluster has what keeps tenants apart beside this program: the CRD's rules and an admission policy. */

/**
 * @returns since when both have existed; undefined if one is missing, or if the binding does not deny in every namespace.
 *     docs/contract.md#restores-from-another-namespace
 */
export function rightsPolicySince(
  policy: KubeObject | undefined,
  binding: ValidatingAdmissionPolicyBinding | undefined,
): Date | undefined {
  const { validationActions = [], matchResources } = binding?.spec ?? {};
  if (policy === undefined || binding === undefined) return undefined;
  if (!validationActions.includes("Deny") || matchResources !== undefined) return undefined;
  return new Date(Math.max(...[policy, binding].map(({ metadata }) => Date.parse(metadata.creationTimestamp))));
}

/**
 * @param askedSince what {@link rightsPolicySince} says
 * @returns what is missing in this cluster, one sentence each; empty if nothing is
 */
export function missingProtection(crd: CustomResourceDefinition | undefined, askedSince: Date | undefined): string[] {
  const policy = `ValidatingAdmissionPolicy ${RIGHTS_POLICY} or its binding is missing, or the binding does not deny in every namespace: the dispatcher rejects Restores from other namespaces`;
  return [...missingRules(crd), ...(askedSince === undefined ? [policy] : [])];
}

/** Another operator's CRD of the same name may have replaced ours. */
function missingRules(crd: CustomResourceDefinition | undefined): string[] {
  if (crd === undefined) return [];
  const version = crd.spec?.versions?.find(({ name }) => name === operations.version);
  const root = version?.schema?.openAPIV3Schema;
  const has = (found: { rule?: string | undefined }[] | undefined, wanted: readonly { rule: string }[]) =>
    wanted.every(({ rule }) => found?.some((each) => each.rule === rule));
  const complete =
    has(root?.["x-kubernetes-validations"], objectRules) &&
    has(root?.properties?.spec?.["x-kubernetes-validations"], specRules);
  if (complete) return [];
  return [
    `CRD ${qualifiedName(operations)} lacks validation rules of this version (another operator's may have replaced it): only the policies in manifests/policies keep people from changing a spec after its admission`,
  ];
}
