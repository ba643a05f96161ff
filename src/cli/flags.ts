/** The parameters of an Operation as flags. What a value may be, the schema of the parameters says (src/api/parameters.ts). */
export interface Flag {
  /** The name in `spec.parameters`. */
  readonly parameter: string;
  readonly kind: "text" | "list" | "switch" | "selector";
  readonly summary: string;
  /** What stands for the value in the help. */
  readonly value?: string;
}

const includedResources: Flag = {
  parameter: "includedResources",
  kind: "list",
  value: "resources",
  summary: 'only these, such as "configmaps,deployments.apps"',
};
const excludedResources: Flag = {
  parameter: "excludedResources",
  kind: "list",
  value: "resources",
  summary: "all but these",
};
const labelSelector: Flag = {
  parameter: "labelSelector",
  kind: "selector",
  value: "selector",
  summary: 'only what has these labels, such as "app=shop,tier!=cache"',
};
const itemOperationTimeout: Flag = {
  parameter: "itemOperationTimeout",
  kind: "text",
  value: "duration",
  summary: "how long Velero waits for the data of volumes",
};

export const backupFlags: readonly Flag[] = [
  {
    parameter: "storageLocation",
    kind: "text",
    value: "name",
    summary: "a BackupStorageLocation; else Velero's default",
  },
  { parameter: "ttl", kind: "text", value: "duration", summary: 'how long Velero keeps it, such as "720h"' },
  includedResources,
  excludedResources,
  labelSelector,
  { parameter: "snapshotVolumes", kind: "switch", summary: "take snapshots of volumes" },
  { parameter: "snapshotMoveData", kind: "switch", summary: "move the snapshots' data to the storage location" },
  { parameter: "defaultVolumesToFsBackup", kind: "switch", summary: "back all volumes up file by file" },
  {
    parameter: "csiSnapshotClassName",
    kind: "text",
    value: "name",
    summary: "the VolumeSnapshotClass for the volumes of its driver",
  },
  {
    parameter: "csiSnapshotTimeout",
    kind: "text",
    value: "duration",
    summary: "how long Velero waits for a snapshot to be taken",
  },
  itemOperationTimeout,
];

export const restoreFlags: readonly Flag[] = [
  {
    parameter: "existingResourcePolicy",
    kind: "text",
    value: "policy",
    summary: '"none" leaves what is there as it is, "update" changes it to what the backup has',
  },
  includedResources,
  excludedResources,
  labelSelector,
  { parameter: "restorePVs", kind: "switch", summary: "restore volumes from their snapshots" },
  { parameter: "preserveNodePorts", kind: "switch", summary: "give Services the node ports that they had" },
  itemOperationTimeout,
];

/** The flag of a parameter, as it is typed: `--snapshot-move-data`; for labelSelector kubectl's own `--selector`. */
export function flagOf({ parameter, kind }: Pick<Flag, "parameter" | "kind">): string {
  if (kind === "selector") return "--selector";
  return `--${parameter.replace(/([a-z])([A-Z]+)/g, "$1-$2").toLowerCase()}`;
}

/** What was given, by parameter, as it was typed. */
export function givenFlags(
  flags: readonly Flag[],
  values: Readonly<Record<string, unknown>>,
): { readonly flag: Flag; readonly value: unknown }[] {
  return flags.flatMap((flag) => {
    const value = values[attributeOf(flag)];
    return value === undefined ? [] : [{ flag, value }];
  });
}

/** The name under which commander keeps the value of a flag: `restorePvs` for `--restore-pvs`. */
function attributeOf(flag: Flag): string {
  return flagOf(flag)
    .slice(2)
    .replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
