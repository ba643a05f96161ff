import type { Served, ServedKind } from "../../kube/discovery.ts";

/** Velero backs up and restores only kinds with all of these verbs. Velero, pkg/discovery/helper.go. */
const NEEDED_VERBS = ["list", "create", "get", "delete"];

/** The kinds that Velero can back up or restore, of all that the API server serves. */
export function nameable({ kinds }: Served): readonly ServedKind[] {
  return kinds.filter(({ verbs }) => NEEDED_VERBS.every((verb) => verbs.includes(verb)));
}

/**
 * The kind that Velero understands by a name: its plural, singular or short name, alone or with its group or the
 * beginning of its group. Plural and singular match in any case, short names and groups only as they are written.
 * Velero, pkg/discovery/helper.go (ResourceFor).
 *
 * @param name such as `configmaps`, `ConfigMap`, `cm`, `deployments.apps`
 * @param kinds in the server's order of preference
 */
export function resolveResource(name: string, kinds: readonly ServedKind[]): ServedKind | undefined {
  const dot = name.indexOf(".");
  const asked = dot < 0 ? name : name.slice(0, dot);
  const group = dot < 0 ? undefined : name.slice(dot + 1);
  const exact = group === undefined ? kinds : kinds.filter((kind) => kind.group === group);
  const prefixed = group === undefined ? [] : kinds.filter((kind) => kind.group.startsWith(group));
  const isShort = ({ shortNames }: ServedKind) => shortNames.includes(asked);
  const long = (exact.find(isShort) ?? prefixed.find(isShort))?.plural ?? asked.toLowerCase();
  const isNamed = ({ plural, singular }: ServedKind) => plural === long || singular === long;
  return exact.find(isNamed) ?? prefixed.find(isNamed);
}

/** `configmaps`, `deployments.apps`: as Velero and RBAC write it. */
export function groupResource({ plural, group }: Pick<ServedKind, "plural" | "group">): string {
  return group === "" ? plural : `${plural}.${group}`;
}

/**
 * The kind whose name is nearest to an unknown name, for a "did you mean" (unknownResources.ts).
 *
 * @returns its name, with its group only if the unknown name has a group, too; undefined when no name is near
 */
export function nearestResource(name: string, kinds: readonly ServedKind[]): string | undefined {
  const wrong = name.toLowerCase();
  const withGroup = wrong.includes(".");
  let nearest: { readonly name: string; readonly distance: number } | undefined;
  for (const kind of kinds) {
    const spellings = withGroup ? [groupResource(kind)] : [kind.plural, kind.singular, ...kind.shortNames];
    for (const spelling of spellings) {
      const distance = editDistance(wrong, spelling.toLowerCase());
      if (distance > MAX_DISTANCE || distance * 3 > spelling.length) continue;
      if (nearest === undefined || distance < nearest.distance) {
        nearest = { name: withGroup ? groupResource(kind) : kind.plural, distance };
      }
    }
  }
  return nearest?.name;
}

/**
 * Two names that differ in more characters than this, or in more than a third of them, have nothing to do with each
 * other.
 */
const MAX_DISTANCE = 3;

/** Levenshtein's: how many characters must be added, removed or changed to get from one to the other. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > MAX_DISTANCE) return MAX_DISTANCE + 1;
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 0; i < a.length; i += 1) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j += 1) {
      const changed = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      next.push(Math.min(changed, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
