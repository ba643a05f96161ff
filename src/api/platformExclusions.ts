import { API_GROUP, operations } from "./operation.ts";

/**
 * What no Restore may restore, because Velero writes it with rights that the requester may not have: the limits of a
 * namespace, and the addresses to which its Services lead. docs/contract.md#excluded-resources; an admin changes the
 * list by the setting `restore.excludedResources`.
 */
export const DEFAULT_PLATFORM_EXCLUSIONS: readonly string[] = [
  "resourcequotas",
  "limitranges",
  "endpoints",
  "endpointslices.discovery.k8s.io",
];

/** A restored namespace must not run its old Operations again, so no setting allows these. */
const OPERATIONS = `${operations.plural}.${API_GROUP}`;

/** All resources that every Restore on this platform excludes. */
export function platformExclusions(excludedResources: readonly string[]): string[] {
  return [...new Set([OPERATIONS, ...excludedResources])];
}

/** Short names that people use for these kinds; every other kind is known by its plural and singular only. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  quota: "resourcequotas",
  limits: "limitranges",
  ep: "endpoints",
  op: "operations",
  netpol: "networkpolicies",
  sa: "serviceaccounts",
  pdb: "poddisruptionbudgets",
  hpa: "horizontalpodautoscalers",
};

/**
 * The excluded resource that a name means, if it means one. Velero takes a plural or a singular in any case, or a short
 * name, with the group, without it, or with its beginning (Kubernetes' RESTMapper).
 */
export function leftOutAs(name: string, resources: readonly string[]): string | undefined {
  const [given = "", givenGroup = ""] = split(name);
  return resources.find((resource) => {
    const [plural = "", group = ""] = split(resource);
    return (
      namesOf(given.toLowerCase()).includes(plural) &&
      (givenGroup === "" || (group !== "" && group.startsWith(givenGroup)))
    );
  });
}

function namesOf(given: string): string[] {
  const short = Object.hasOwn(SHORT_NAMES, given) ? SHORT_NAMES[given] : undefined;
  return [given, `${given}s`, `${given}es`, given.replace(/y$/, "ies"), ...(short === undefined ? [] : [short])];
}

/** The resource and its group, which is empty for the core group. */
function split(name: string): [string, string] {
  const dot = name.indexOf(".");
  return dot < 0 ? [name, ""] : [name.slice(0, dot), name.slice(dot + 1)];
}
