/** The rights that each account needs, as manifests/base grants them: what `doctor` asks the API server about. */

type Account = "operation-dispatcher" | "operation-backup-runner" | "operation-restore-runner";

/** Where a right holds: everywhere, in the dispatcher's namespace, or in Velero's. */
type Where = "cluster" | "system" | "velero";

export interface Right {
  readonly account: Account;
  readonly where: Where;
  /** `""` is the core group. */
  readonly group: string;
  /** With its subresource: `operations/status`. */
  readonly resource: string;
  readonly verb: string;
  /** Where it holds for one object alone. */
  readonly name?: string;
}

type Rule = readonly [Where, string, string, string, ...string[]];

/** Place, group, resource, verbs (with commas), names of objects. */
const RULES: Readonly<Record<Account, readonly Rule[]>> = {
  "operation-dispatcher": [
    ["cluster", "ops.vworkspace.io", "operations", "list,watch"],
    ["cluster", "ops.vworkspace.io", "operations/status", "update"],
    ["cluster", "apps.vworkspace.io", "applicationinstances", "list,watch"],
    ["cluster", "snapshot.storage.k8s.io", "volumesnapshotclasses", "list,watch"],
    ["cluster", "", "namespaces", "list,watch"],
    [
      "cluster",
      "apiextensions.k8s.io",
      "customresourcedefinitions",
      "list,watch",
      "volumesnapshotclasses.snapshot.storage.k8s.io",
      "applicationinstances.apps.vworkspace.io",
      "operations.ops.vworkspace.io",
    ],
    [
      "cluster",
      "admissionregistration.k8s.io",
      "validatingadmissionpolicies",
      "list,watch",
      "operation-rights.ops.vworkspace.io",
    ],
    [
      "cluster",
      "admissionregistration.k8s.io",
      "validatingadmissionpolicybindings",
      "list,watch",
      "operation-rights.ops.vworkspace.io",
    ],
    ["cluster", "", "events", "create"],
    ["system", "batch", "jobs", "create,get,list,watch,delete"],
    ["system", "", "pods", "list,watch"],
    ["system", "", "events", "list,watch"],
    ["system", "", "configmaps", "list,watch", "operation-jobs"],
    ["system", "coordination.k8s.io", "leases", "create"],
    ["system", "coordination.k8s.io", "leases", "get,update", "operation-dispatcher"],
    ["velero", "velero.io", "backupstoragelocations", "list,watch"],
    ["velero", "velero.io", "backups", "list,watch"],
    ["velero", "velero.io", "restores", "list,watch"],
    ["velero", "apps", "deployments", "list,watch", "velero"],
  ],
  "operation-backup-runner": [
    ["cluster", "ops.vworkspace.io", "operations", "get,list,watch"],
    ["cluster", "ops.vworkspace.io", "operations/status", "update"],
    ["cluster", "", "namespaces", "get"],
    ["cluster", "", "events", "create"],
    ["cluster", "snapshot.storage.k8s.io", "volumesnapshotclasses", "get"],
    ["cluster", "apiextensions.k8s.io", "customresourcedefinitions", "get"],
    ["velero", "velero.io", "backups", "create,get,list,watch,delete"],
    ["velero", "velero.io", "downloadrequests", "create,list,watch,delete"],
    ["velero", "velero.io", "backupstoragelocations", "get"],
    ["velero", "velero.io", "podvolumebackups", "list,patch"],
    ["velero", "velero.io", "datauploads", "list,patch"],
    ["velero", "velero.io", "deletebackuprequests", "create,list,watch,delete"],
  ],
  "operation-restore-runner": [
    ["cluster", "ops.vworkspace.io", "operations", "get,list,watch"],
    ["cluster", "ops.vworkspace.io", "operations/status", "update"],
    ["cluster", "", "namespaces", "get"],
    ["cluster", "", "events", "create"],
    ["velero", "velero.io", "restores", "create,get,list,watch,delete"],
    ["velero", "velero.io", "backups", "get"],
    ["velero", "velero.io", "podvolumerestores", "list"],
    ["velero", "velero.io", "datadownloads", "list"],
    ["velero", "velero.io", "downloadrequests", "create,list,watch,delete"],
    ["velero", "velero.io", "backupstoragelocations", "get"],
  ],
};

/** Every right of every account, one by one. */
export const RIGHTS: readonly Right[] = Object.entries(RULES).flatMap(([account, rules]) =>
  rules.flatMap(([where, group, resource, verbs, ...names]) =>
    verbs.split(",").flatMap((verb) => {
      const right = { account: account as Account, where, group, resource, verb };
      return names.length === 0 ? [right] : names.map((name) => ({ ...right, name }));
    }),
  ),
);

/** `operation-dispatcher may list jobs.batch in vworkspace-system`, as the subject of a complaint. */
export function rightText({ account, verb, resource, group, name }: Right): string {
  return `${account}: ${verb} ${resource}${group === "" ? "" : `.${group}`}${name === undefined ? "" : ` ${name}`}`;
}
