import { RIGHTS_POLICY } from "../../api/crossNamespace.ts";
import { operations } from "../../api/operation.ts";
import { objectRules, specRules } from "../../api/rules.ts";
import type { KubeObject } from "../../kube/metadata.ts";
import { qualifiedName } from "../../kube/resource.ts";
import type { CustomResourceDefinition, ValidatingAdmissionPolicyBinding } from "../../kube/resources.ts";

/** What else than this program keeps tenants apart, as it is in this cluster: the CRD's rules and an admission policy. */

/**
 * @returns since when both are there and the binding denies what the policy forbids, everywhere; undefined where that is not so.
 *   docs/contract.md#restores-from-another-namespace
 */
export function rightsAskedSince(
  policy: KubeObject | undefined,
  binding: ValidatingAdmissionPolicyBinding | undefined,
): Date | undefined {
  const { validationActions = [], matchResources } = binding?.spec ?? {};
  if (policy === undefined || binding === undefined) return undefined;
  if (!validationActions.includes("Deny") || matchResources !== undefined) return undefined;
  return new Date(Math.max(...[policy, binding].map(({ metadata }) => Date.parse(metadata.creationTimestamp))));
}

/**
 * @param askedSince what {@link rightsAskedSince} says
 * @returns what is missing in this cluster, one sentence each; nothing where all is as it is shipped
 */
export function missingProtection(crd: CustomResourceDefinition | undefined, askedSince: Date | undefined): string[] {
  const policy = `ValidatingAdmissionPolicy ${RIGHTS_POLICY} or its binding is missing, or does not deny everywhere: Restores from other namespaces are refused`;
  return [...missingRules(crd), ...(askedSince === undefined ? [policy] : [])];
}

/** Another operator's CRD of the same name may have replaced ours. */
function missingRules(crd: CustomResourceDefinition | undefined): string[] {
  if (crd === undefined) return [];
  const version = crd.spec?.versions?.find(({ name }) => name === operations.version);
  const root = version?.schema?.openAPIV3Schema;
  const has = (found: { rule?: string | undefined }[] | undefined, wanted: readonly { rule: string }[]) =>
    wanted.every(({ rule }) => found?.some((one) => one.rule === rule));
  const complete =
    has(root?.["x-kubernetes-validations"], objectRules) &&
    has(root?.properties?.spec?.["x-kubernetes-validations"], specRules);
  if (complete) return [];
  return [
    `CRD ${qualifiedName(operations)} lacks validation rules of this version (another operator's may have replaced it): only the policies in manifests/policies keep a spec as it was admitted`,
  ];
}
