import type { ApplicationInstance } from "../api/applicationInstance.ts";
import type { VeleroOperation } from "../api/operation.ts";
import type { StorageLocation } from "../api/velero.ts";
import { approved } from "../dispatcher/admission/checks/approval.ts";
import { authorized } from "../dispatcher/admission/checks/authorized.ts";
import { notRestoredCopy } from "../dispatcher/admission/checks/notRestoredCopy.ts";
import { snapshotClassOpen, storageLocationOpen } from "../dispatcher/admission/checks/openToNamespace.ts";
import { snapshotClassExists } from "../dispatcher/admission/checks/snapshotClass.ts";
import { storageLocationAvailable } from "../dispatcher/admission/checks/storageLocation.ts";
import { targetCapable, targetFound, targetReady } from "../dispatcher/admission/checks/target.ts";
import { sameCluster, targetInScope } from "../dispatcher/admission/checks/targetScope.ts";
import { templateUsable } from "../dispatcher/admission/checks/template.ts";
import { specValid } from "../dispatcher/admission/checks/validation.ts";
import { CHECKS } from "../dispatcher/admission/checks.ts";
import type { AdmissionWorld, Check, Hindrance } from "../dispatcher/admission/hindrance.ts";
import type { Settings } from "../dispatcher/settings.ts";
import type { JobTemplates } from "../dispatcher/templates/buildJob.ts";
import type { KubeObject } from "../kube/metadata.ts";
import type { VolumeSnapshotClass } from "../kube/resources.ts";
import type { Seen } from "./seen.ts";

/** The dispatcher's own checks of an Operation that does not exist yet, as far as its caller can see what they look at. Pure. */

/** What the checks look at, as far as it could be seen. */
export interface SeenWorld {
  readonly now: Date;
  readonly settings: Seen<Settings>;
  readonly templates: Seen<JobTemplates>;
  readonly rightsPolicySince: Seen<Date | undefined>;
  readonly target: Seen<ApplicationInstance | undefined>;
  readonly namespace: Seen<KubeObject | undefined>;
  readonly snapshotClasses: Seen<readonly VolumeSnapshotClass[]>;
  readonly locations: Seen<readonly StorageLocation[]>;
}

export interface Judgement {
  /** What each check says that does not hold. */
  readonly hindrances: readonly Hindrance[];
  /** Of the checks that could not be made: what each asks, and why it could not be answered. */
  readonly unchecked: readonly { readonly asks: string; readonly why: string }[];
}

/** What each check asks, in words that go on after "not checked: ". */
export const ASKS: ReadonlyMap<Check, string> = new Map([
  [notRestoredCopy, "whether it is a copy out of a backup"],
  [targetInScope, "whether the dispatcher serves this namespace"],
  [sameCluster, "whether it is meant for this cluster"],
  [specValid, "whether the platform's limits allow what it asks for"],
  [storageLocationOpen, "whether the storage location is open to this namespace"],
  [snapshotClassOpen, "whether the snapshot class is open to this namespace"],
  [targetFound, "whether the target is in this namespace"],
  [targetCapable, "whether the target takes part in what velero does"],
  [targetReady, "whether the target is ready"],
  [snapshotClassExists, "whether the snapshot class exists"],
  [storageLocationAvailable, "whether the storage location is available"],
  [approved, "whether it needs an approval"],
  [authorized, "whether the cluster checks rights in the other namespace"],
  [templateUsable, "whether a Job can be made of the template"],
]);

/** Where a check looks at something that could not be seen. */
class Unseen extends Error {}

/** Makes every check by itself: the dispatcher would stop at the first that does not hold. docs/contract.md#admission. */
export function judgeAdmission(operation: VeleroOperation, seen: SeenWorld): Judgement {
  const world = worldOf(seen);
  const hindrances: Hindrance[] = [];
  const unchecked: { asks: string; why: string }[] = [];
  for (const check of CHECKS) {
    try {
      const hindrance = check(operation, world);
      if (hindrance !== undefined) hindrances.push(hindrance);
    } catch (error) {
      if (!(error instanceof Unseen)) throw error;
      unchecked.push({ asks: ASKS.get(check) ?? check.name, why: error.message });
    }
  }
  return { hindrances, unchecked };
}

function worldOf(seen: SeenWorld): AdmissionWorld {
  const value = <T>(what: Seen<T>): T => {
    if (!what.ok) throw new Unseen(what.why);
    return what.value;
  };
  return {
    now: seen.now,
    // Nobody has approved what does not exist yet, whatever the key is.
    approvalKey: "unknown",
    get settings() {
      return value(seen.settings);
    },
    get templates() {
      return value(seen.templates);
    },
    get rightsPolicySince() {
      return value(seen.rightsPolicySince);
    },
    target: () => value(seen.target),
    namespace: () => value(seen.namespace),
    snapshotClass: (name) => value(seen.snapshotClasses).find(({ metadata }) => metadata.name === name),
    storageLocation: (name) => value(seen.locations).find(({ metadata }) => metadata.name === name),
    defaultStorageLocation: () => value(seen.locations).find(({ spec }) => spec?.default === true),
  };
}
