import { RIGHTS_POLICY } from "../../../api/crossNamespace.ts";
import { both, type Check, judge, MANIFESTS, ok, problem } from "../finding.ts";
import type { Observed } from "../observe.ts";
import { rightText } from "../rights.ts";

// Whether everything is in the cluster that the manifests install, but for what runs.

/** The policies without which the rights of tenants and runners are wider than the threat model says. */
const POLICIES = [
  "dispatcher-job",
  "operation-rights",
  "operation-spec",
  "runner-backup",
  "runner-cancel-data",
  "runner-download",
  "runner-namespaces",
  "runner-ownership",
  "runner-restore",
  "runner-status",
  "velero-persistent-volume",
].map((name) => `${name}.ops.vworkspace.io`);

export const crds: Check = (seen) =>
  judge("crds", seen.crds, (all) => {
    const served = (name: string) =>
      all.find(({ metadata }) => metadata.name === name)?.spec?.versions?.flatMap((version) => version.name ?? []);
    const wanted: [string, string, string][] = [
      ["operations.ops.vworkspace.io", "v1alpha1", MANIFESTS],
      [
        "applicationinstances.apps.vworkspace.io",
        "v1alpha1",
        "install upstream's operator, or kubectl apply -k manifests/components/application-instance-crd",
      ],
      ["backups.velero.io", "v1", "install Velero, or kubectl apply -k manifests/velero"],
      ["restores.velero.io", "v1", "install Velero, or kubectl apply -k manifests/velero"],
    ];
    const wrong = wanted.flatMap(([name, version, remedy]) => {
      const versions = served(name);
      if (versions === undefined) return [problem("crds", `${name} is not installed`, remedy)];
      if (versions.includes(version)) return [];
      return [problem("crds", `${name} has no version ${version}, only ${versions.join(", ")}`, remedy)];
    });
    return wrong.length > 0 ? wrong : ok("crds", wanted.map(([name, version]) => `${name} ${version}`).join(", "));
  });

export const policies: Check = ({ policies: all, bindings }) =>
  judge("policies", both(all, bindings), ([policy, binding]) => {
    const has = (name: string) => policy.some(({ metadata }) => metadata.name === name);
    const actionsOf = (name: string) => binding.find(({ metadata }) => metadata.name === name)?.spec?.validationActions;
    const wrong = POLICIES.flatMap((name) => {
      const why = name === RIGHTS_POLICY ? ": Restores from other namespaces wait" : "";
      if (!has(name)) return [problem("policies", `${name} is not installed${why}`, MANIFESTS)];
      const actions = actionsOf(name);
      if (actions === undefined) return [problem("policies", `${name} is not bound${why}`, MANIFESTS)];
      if (actions.includes("Deny")) return [];
      // Applied by the server, the manifests would add to the list, which then cannot be.
      const deny = `kubectl patch validatingadmissionpolicybinding/${name} --type=merge -p '{"spec":{"validationActions":["Deny"]}}'`;
      return [problem("policies", `${name} does not deny, only ${actions.join(" and ")}${why}`, deny)];
    });
    return wrong.length > 0 ? wrong : ok("policies", `${POLICIES.length} policies are bound and deny`);
  });

export const rights: Check = (seen) =>
  judge("rights", seen.missingRights, (all) => {
    // Where the settings name a namespace without Velero, that is the problem.
    const missing = all.filter(({ where }) => where !== "velero" || hasVelero(seen));
    if (missing.length === 0) return ok("rights", "each account has what it needs");
    const named = missing.slice(0, 3).map(rightText).join("; ");
    const more = missing.length > 3 ? `; and ${missing.length - 3} more` : "";
    return problem("rights", `missing: ${named}${more}`, MANIFESTS);
  });

function hasVelero({ velero }: Observed): boolean {
  return !velero.ok || velero.value !== undefined;
}
