import { DEFAULT_PLATFORM_EXCLUSIONS, leftOutAs, platformExclusions } from "../api/platformExclusions.ts";
import { aligned } from "./table.ts";
import { printable } from "./terminal.ts";

/** What a Restore would meet, before it is asked for. Pure: what could be seen is given, the rest is named. */

/** Objects of one kind that the backup holds. */
export interface HeldKind {
  /** As Velero writes it: `apps/v1/Deployment`. */
  readonly kind: string;
  /** As RBAC has it: `deployments.apps`; undefined: the cluster does not know the kind. */
  readonly resource: string | undefined;
  /** The names of those that would come into the namespace, and of those that live in none. */
  readonly names: readonly string[];
  /** The names in the namespace now; undefined: not to be seen. */
  readonly present: ReadonlySet<string> | undefined;
}

export interface Preview {
  readonly operation: string;
  readonly namespace: string;
  /** What is restored from, in words. */
  readonly source: string;
  /** What would hold it back or have it refused, as far as the caller can see. */
  readonly hindrances: readonly string[];
  /** The kinds that the platform has every restore leave out; undefined: not to be seen. */
  readonly leftOut: readonly string[] | undefined;
  /** What the backup holds; undefined: not to be seen. */
  readonly kinds: readonly HeldKind[] | undefined;
  /** What could not be looked at, and why. */
  readonly unseen: readonly string[];
}

export interface Asked {
  readonly includedResources?: readonly string[];
  readonly excludedResources?: readonly string[];
  readonly labelSelector?: unknown;
  readonly existingResourcePolicy?: string;
}

/** What Velero restores in no case. Velero, pkg/controller/restore_controller.go, nonRestorableResources. */
const VELERO_LEAVES_OUT = [
  ...["nodes", "events", "events.events.k8s.io", "csinodes.storage.k8s.io", "volumeattachments.storage.k8s.io"],
  ...["backups.velero.io", "restores.velero.io", "resticrepositories.velero.io", "backuprepositories.velero.io"],
];

/** What would become of the objects of a kind. */
export interface Fate {
  readonly kind: string;
  readonly inBackup: number;
  /** How many of them are there already; undefined: not to be seen. */
  readonly present: number | undefined;
  readonly becomes: string;
}

/** What would become of what the backup holds, kind by kind. */
export function fatesOf({ kinds = [], leftOut }: Pick<Preview, "kinds" | "leftOut">, asked: Asked): Fate[] {
  const { includedResources = ["*"], excludedResources = [], existingResourcePolicy = "none" } = asked;
  const platform = platformExclusions(leftOut ?? DEFAULT_PLATFORM_EXCLUSIONS);
  const isNamed = (resource: string, names: readonly string[]) =>
    names.includes("*") || names.some((name) => leftOutAs(name, [resource]) !== undefined);
  return kinds.map(({ kind, resource, names, present }) => {
    const there = present === undefined ? undefined : names.filter((name) => present.has(name)).length;
    const becomes = () => {
      if (resource === undefined) return "not known here: left out";
      if (VELERO_LEAVES_OUT.includes(resource)) return "left out by Velero";
      if (platform.includes(resource)) return "left out by the platform";
      if (!isNamed(resource, includedResources) || isNamed(resource, excludedResources)) return "not asked for";
      if (there === undefined) return "created, where it is not there";
      const made = names.length - there;
      const kept = existingResourcePolicy === "update" ? "updated" : "kept as it is";
      return [made > 0 && `${made} created`, there > 0 && `${there} ${kept}`].filter(Boolean).join(", ");
    };
    return { kind, inBackup: names.length, present: there, becomes: becomes() };
  });
}

/** The preview as people read it. */
export function previewLines(preview: Preview, asked: Asked): string[] {
  const { operation, namespace, source, hindrances, kinds, leftOut, unseen } = preview;
  const notes = [
    ...unseen,
    ...(asked.labelSelector === undefined ? [] : ["labels are not looked at: --selector may leave more out"]),
    ...(kinds === undefined || leftOut !== undefined
      ? []
      : ["the platform's settings may leave out more or fewer kinds than are told here"]),
  ];
  const rows = fatesOf(preview, asked).map(({ kind, inBackup, present, becomes }) => [
    kind,
    String(inBackup),
    present === undefined ? "<unknown>" : String(present),
    becomes,
  ]);
  return [
    `Restore ${operation} into namespace ${namespace} from ${source}. Nothing was made.`,
    "",
    hindrances.length === 0 ? "Nothing would hold it back, as far as can be seen." : "Would be held back or refused:",
    ...hindrances.map((each) => `  ${each}`),
    ...(rows.length === 0 ? [] : ["", ...aligned([["KIND", "IN-BACKUP", "PRESENT", "BECOMES"], ...rows])]),
    ...(notes.length === 0 ? [] : ["", ...notes.map((note) => `note: ${note}`)]),
  ].map(printable);
}
