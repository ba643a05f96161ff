import { API_GROUP, operations } from "./operation.ts";

/**
 * What no Restore brings back, because Velero would write it with rights that who asks does not have: what bounds a
 * namespace, and where its Services lead. docs/contract.md#excluded-resources; an admin changes the list by the setting
 * `restore.excludedResources`.
 */
export const DEFAULT_PLATFORM_EXCLUSIONS: readonly string[] = [
  "resourcequotas",
  "limitranges",
  "endpoints",
  "endpointslices.discovery.k8s.io",
];

/** A restored namespace must not bring its old Operations back to life: no setting lets them in. */
const OPERATIONS = `${operations.plural}.${API_GROUP}`;

/** All that a Restore leaves out on this platform, whoever asks for what. */
export function platformExclusions(excludedResources: readonly string[]): string[] {
  return [...new Set([OPERATIONS, ...excludedResources])];
}

/** How else people write these; every other kind is known by its plural and its singular. */
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
 * Which of the resources that are left out a name means. Velero takes a plural or a singular in any case, or a short name,
 * and of the group nothing, all, or its beginning (Kubernetes' RESTMapper).
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
