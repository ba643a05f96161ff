import { RIGHTS_POLICY } from "../api/crossNamespace.ts";
import { operations } from "../api/operation.ts";
import { objectRules, specRules } from "../api/rules.ts";
import type { KubeObject } from "../kube/metadata.ts";
import { qualifiedName } from "../kube/resource.ts";
import type { CustomResourceDefinition } from "../kube/resources.ts";

/** What else than this program keeps tenants apart, as it is in this cluster: the CRD's rules and an admission policy. */

/**
 * @param parts the policy and its binding, where they exist
 * @returns since when both exist; undefined where one is missing. docs/contract.md, Restores from another namespace
 */
export function rightsAskedSince(parts: readonly (KubeObject | undefined)[]): Date | undefined {
  const created = parts.map((part) => Date.parse(part?.metadata.creationTimestamp ?? ""));
  return created.some(Number.isNaN) ? undefined : new Date(Math.max(...created));
}

/** @returns what is missing in this cluster, one sentence each; nothing where all is as it is shipped */
export function missingProtection(
  crd: CustomResourceDefinition | undefined,
  policy: readonly (KubeObject | undefined)[],
): string[] {
  return [
    ...missingRules(crd),
    ...(rightsAskedSince(policy) === undefined
      ? [
          `ValidatingAdmissionPolicy ${RIGHTS_POLICY} or its binding is missing: Restores from other namespaces are refused`,
        ]
      : []),
  ];
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
