import { RIGHTS_POLICY } from "../../api/crossNamespace.ts";
import { Label, MANAGED_BY } from "../../api/labels.ts";
import { isVeleroOperation, type Operation } from "../../api/operation.ts";
import { ACTORS, remedyOf } from "../../api/remedies.ts";
import { isAtWork, locationHindrance, type VeleroObject } from "../../api/velero.ts";
import { contradictions, parseTemplates } from "../../dispatcher/templates/parseTemplates.ts";
import type { KubeObject } from "../../kube/metadata.ts";
import { VERSION } from "../../version.ts";
import { age } from "../human.ts";
import { hasEnded, situationOf, whyOf } from "../situation.ts";
import { type Finding, judge, ok, problem, type Seen, warning } from "./finding.ts";
import type { Observed } from "./observe.ts";
import { rightText } from "./rights.ts";

/** What is to be made of what was seen. Pure. Each check says one thing, or one for each object that is in trouble. */

type Check = (seen: Observed) => readonly Finding[];

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

/** Versions of Velero that this project is tested with: the first, and the first that is not any more. */
const VELERO_FROM = [1, 14] as const;
const VELERO_BEFORE = [1, 19] as const;

const MANIFESTS = "kubectl apply -k manifests";
/** A dispatcher at work says something of a new Operation at once. */
const UNNOTICED_MS = 2 * 60_000;
const LONG_MS = 60 * 60_000;
const DAY_MS = 24 * LONG_MS;
const MAX_SKEW_MS = 5000;
/** A runner removes its own at once; Velero removes them after ten minutes. */
const DOWNLOAD_MS = 15 * 60_000;

const crds: Check = (seen) =>
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

const policies: Check = ({ policies: all, bindings }) =>
  judge("policies", both(all, bindings), ([policy, binding]) => {
    const has = (name: string) => policy.some(({ metadata }) => metadata.name === name);
    const binds = (name: string) =>
      binding.some(({ metadata, spec }) => metadata.name === name && spec?.validationActions?.includes("Deny"));
    const wrong = POLICIES.flatMap((name) => {
      const why = name === RIGHTS_POLICY ? ": Restores from other namespaces wait" : "";
      if (!has(name)) return [problem("policies", `${name} is not installed${why}`, MANIFESTS)];
      return binds(name) ? [] : [problem("policies", `${name} is not bound, or does not deny${why}`, MANIFESTS)];
    });
    return wrong.length > 0 ? wrong : ok("policies", `${POLICIES.length} policies are bound and deny`);
  });

const rights: Check = ({ missingRights }) =>
  judge("rights", missingRights, (missing) => {
    if (missing.length === 0) return ok("rights", "each account has what it needs");
    const named = missing.slice(0, 3).map(rightText).join("; ");
    const more = missing.length > 3 ? `; and ${missing.length - 3} more` : "";
    return problem("rights", `missing: ${named}${more}`, MANIFESTS);
  });

const dispatcher: Check = (seen) =>
  judge("dispatcher", seen.dispatcher, (deployment) => {
    const where = `deployment/operation-dispatcher in namespace ${seen.systemNamespace}`;
    if (deployment === undefined) return problem("dispatcher", `${where} does not exist`, MANIFESTS);
    if ((deployment.status?.availableReplicas ?? 0) === 0) {
      const remedy = `kubectl describe ${where.replace(" in namespace", " -n")}; kubectl logs says why it does not start`;
      return problem("dispatcher", `${where} is not available`, remedy);
    }
    const image = imageOf(deployment.spec?.template?.spec?.containers, "dispatcher");
    const version = versionOf(image);
    if (version !== undefined && version !== VERSION) {
      const remedy = `apply the manifests of ${VERSION}, or use the commands of ${version}`;
      return warning("dispatcher", `it is version ${version}, and these commands are ${VERSION}`, remedy);
    }
    return ok("dispatcher", `${where} is available, image ${image}`);
  });

const lease: Check = (seen) =>
  judge("lease", seen.lease, (held) => {
    const { holderIdentity, renewTime, leaseDurationSeconds } = held?.spec ?? {};
    const remedy = "see whether the dispatcher runs and may update leases; its log says what it waits for";
    if (!holderIdentity) return problem("lease", "nobody holds the Lease: no dispatcher acts", remedy);
    const silentMs = seen.now.getTime() - Date.parse(renewTime ?? "");
    // Clocks may differ, and a renewal may be late.
    if (!(silentMs < ((leaseDurationSeconds ?? 15) + 30) * 1000)) {
      return problem(
        "lease",
        `${holderIdentity} has not renewed the Lease for ${age(silentMs)}: no dispatcher acts`,
        remedy,
      );
    }
    return ok("lease", `held by ${holderIdentity}`);
  });

const settings: Check = (seen) =>
  judge("settings", seen.settings, (read) => {
    if (typeof read === "object") {
      return ok(
        "settings",
        `they can be used; cluster ${read.clusterId || "without a name"}, Velero in ${read.veleroNamespace}`,
      );
    }
    const remedy = "correct the ConfigMap operation-dispatcher-settings: docs/settings.md lists every key";
    return problem("settings", read.replaceAll("\n", " "), remedy);
  });

const templates: Check = (seen) =>
  judge("templates", both(seen.templates, both(seen.namespace, seen.settings)), ([configMap, [namespace, read]]) => {
    const parsed = parseTemplates(configMap);
    const broken = Object.values(parsed).flatMap((state) => (state.ok ? [] : [state.problem]));
    const correct = "correct the ConfigMap operation-jobs; jobs/ in the source has the shipped ones";
    if (broken.length > 0) return broken.map((why) => problem("templates", why, correct));
    const listed = (namespace?.metadata.annotations?.[IMAGES] ?? "").split(",").map((entry) => entry.trim());
    const images = Object.values(parsed).flatMap((state) =>
      state.ok ? state.template.spec.template.spec.containers.map(({ image }) => image) : [],
    );
    const strangers = [...new Set(images)].filter((image) => !listed.some((entry) => isListed(image, entry)));
    if (strangers.length > 0) {
      const remedy = `add it to the annotation ${IMAGES} of namespace ${seen.systemNamespace}, or name another image in the ConfigMap operation-jobs`;
      return problem("templates", `the dispatcher may not make Jobs of ${strangers.join(", ")}`, remedy);
    }
    const differs = typeof read === "object" ? contradictions(parsed, read) : [];
    if (differs.length > 0) return differs.map((why) => warning("templates", why, correct));
    return ok("templates", `both can be used, image ${[...new Set(images)].join(", ")}`);
  });

const IMAGES = "ops.vworkspace.io/job-images";

/** As the policy dispatcher-job has it: an entry without tag or digest stands for every one. */
function isListed(image: string, entry: string): boolean {
  if (entry === "" || !image.startsWith(entry)) return false;
  return /^(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?(@sha256:[0-9a-f]{64})?$/.test(image.slice(entry.length));
}

const velero: Check = (seen) =>
  judge("velero", both(seen.velero, seen.server), ([deployment, answer]) => {
    const where = `deployment/velero in namespace ${seen.veleroNamespace}`;
    if (deployment === undefined) {
      const remedy =
        "install Velero there, or correct the setting veleroNamespace: restores need a Deployment of that name";
      return problem("velero", `${where} does not exist`, remedy);
    }
    if (answer?.status?.phase !== "Processed") {
      return problem(
        "velero",
        "its server does not answer",
        `kubectl logs ${where.replace(" in namespace", " -n")} says why`,
      );
    }
    const version = answer.status.serverVersion ?? "unknown";
    const [major = 0, minor = 0] = (/^v?(\d+)\.(\d+)/.exec(version) ?? []).slice(1).map(Number);
    const isAtLeast = ([wanted, least]: readonly [number, number]) =>
      major > wanted || (major === wanted && minor >= least);
    if (!isAtLeast(VELERO_FROM) || isAtLeast(VELERO_BEFORE)) {
      const range = `${VELERO_FROM.join(".")} up to, not including, ${VELERO_BEFORE.join(".")}`;
      return warning("velero", `its version ${version} is not one that is tested here`, `use one from ${range}`);
    }
    return ok("velero", `its server answers, version ${version}`);
  });

const locations: Check = (seen) =>
  judge("locations", seen.locations, (all) => {
    const names = all.map(({ metadata }) => metadata.name);
    if (all.length === 0) {
      return problem("locations", "there is no BackupStorageLocation", "create one: velero backup-location create");
    }
    const unusable = all.flatMap((location) => {
      const { name } = location.metadata;
      const why = locationHindrance(location, "Backup");
      if (why === undefined) return [];
      const message = `${name} ${why}${location.status?.message ? `: ${location.status.message}` : ""}`;
      // ReadOnly is what people set on purpose.
      if (locationHindrance(location, "Restore") === undefined) {
        return [
          warning(
            "locations",
            message,
            `backups to ${name} wait; set spec.accessMode to ReadWrite when they may go on`,
          ),
        ];
      }
      return [
        problem("locations", message, `mend what the message names: bucket, credentials, network of location ${name}`),
      ];
    });
    if (unusable.length > 0) return unusable;
    if (!all.some(({ metadata, spec }) => spec?.default === true || metadata.name === "default")) {
      const remedy = "velero backup-location set NAME --default; until then each Backup has to name one";
      return warning("locations", `none of ${names.join(", ")} is the default`, remedy);
    }
    return ok("locations", `${names.join(", ")}: available`);
  });

const snapshots: Check = (seen) =>
  judge("snapshots", both(seen.velero, seen.snapshotClasses), ([deployment, classes]) => {
    const args = (deployment?.spec?.template?.spec?.containers ?? []).flatMap((container) => container.args ?? []);
    const withCsi = args.some((arg) => /^--features=.*EnableCSI/.test(arg));
    if (classes === undefined) {
      if (!withCsi) return ok("snapshots", "no snapshot CRDs, and Velero does not ask for them");
      const remedy = "install the snapshot CRDs and controller, or start Velero without --features=EnableCSI";
      return problem(
        "snapshots",
        "Velero has EnableCSI and the cluster has no snapshot CRDs: every backup is partially failed",
        remedy,
      );
    }
    const without = classes.filter(({ driver }) => !driver).map(({ metadata }) => metadata.name);
    if (without.length > 0) {
      return warning(
        "snapshots",
        `without a driver: ${without.join(", ")}`,
        "set driver in these VolumeSnapshotClasses",
      );
    }
    const names = classes.map(({ metadata }) => metadata.name);
    return ok("snapshots", names.length === 0 ? "no VolumeSnapshotClass: no volume is snapshotted" : names.join(", "));
  });

const clock: Check = ({ clockAheadMs }) =>
  judge("clock", clockAheadMs, (aheadMs) => {
    if (Math.abs(aheadMs) <= MAX_SKEW_MS) return ok("clock", "this machine's and the API server's agree");
    const how = `${age(Math.abs(aheadMs))} ${aheadMs > 0 ? "behind" : "ahead of"} the API server's`;
    return warning(
      "clock",
      `this machine's clock is ${how}`,
      "set the clocks by NTP: expiries and ages are told by them",
    );
  });

const leftovers: Check = (seen) => {
  const { backups, restores, operations, downloadRequests, jobs, now } = seen;
  return judge("leftovers", both(both(backups, restores), both(operations, both(downloadRequests, jobs))), (all) => {
    const [[made, restored], [known, [downloads, work]]] = all;
    const uids = new Set(known.map(({ metadata }) => metadata.uid));
    const isOrphan = ({ metadata: { labels = {} } }: KubeObject) => {
      const uid = labels[Label.operation];
      return labels[Label.managedBy] === MANAGED_BY && uid !== undefined && !uids.has(uid);
    };
    const found: Finding[] = [];
    for (const object of [...made, ...restored] as VeleroObject[]) {
      const name = `${object.kind.toLowerCase()}.velero.io/${object.metadata.name}`;
      if (isOrphan(object) && isAtWork(object)) {
        const remedy = `it ends by itself, or at its ttl; where Velero does nothing with it: kubectl delete ${name} -n ${seen.veleroNamespace}`;
        found.push(warning("leftovers", `${name} is unfinished, and its Operation is gone`, remedy));
      }
      if (
        object.status?.phase === "Failed" &&
        /already exists in object storage/.test(object.status.failureReason ?? "")
      ) {
        const remedy = `kubectl delete ${name} -n ${seen.veleroNamespace} (never velero backup delete)`;
        found.push(
          problem("leftovers", `${name} has the name of an older backup, whose files its end would take`, remedy),
        );
      }
    }
    const old = downloads.filter(
      (request) =>
        request.metadata.labels?.[Label.managedBy] === MANAGED_BY &&
        now.getTime() - Date.parse(request.metadata.creationTimestamp) > DOWNLOAD_MS,
    );
    if (old.length > 0) {
      const remedy =
        "Velero removes them after ten minutes: see whether its server runs; kubectl delete downloadrequest takes them away";
      found.push(warning("leftovers", `${old.length} DownloadRequests of runners are left`, remedy));
    }
    const idle = work.filter(
      (job) => isOrphan(job) && job.metadata.deletionTimestamp === undefined && (job.status?.active ?? 0) === 0,
    );
    if (idle.length > 0) {
      const names = idle
        .slice(0, 3)
        .map(({ metadata }) => metadata.name)
        .join(", ");
      const remedy = "they go at the end of their ttlSecondsAfterFinished; kubectl delete job takes them away";
      found.push(warning("leftovers", `${idle.length} Jobs of deleted Operations: ${names}`, remedy));
    }
    return found.length > 0 ? found : ok("leftovers", "none");
  });
};

const stuck: Check = ({ operations, now }) =>
  judge("operations", operations, (all) => {
    const ours = all.filter(isVeleroOperation);
    const open = ours.filter((operation) => !hasEnded(situationOf(operation)));
    const found = open.flatMap((operation) => stuckOne(operation, now));
    return found.length > 0
      ? found
      : ok("operations", `${ours.length}, of which ${open.length} have not ended; none is stuck`);
  });

function stuckOne(operation: Operation, now: Date): Finding[] {
  const situation = situationOf(operation);
  const name = `${operation.metadata.namespace}/${operation.metadata.name}`;
  const forMs = now.getTime() - Date.parse(situation.since);
  if (situation.state === "New") {
    if (forMs < UNNOTICED_MS) return [];
    const remedy = "see whether the dispatcher runs and has this namespace in its scope";
    return [problem("operations", `${name}: nobody has looked at it for ${age(forMs)}`, remedy)];
  }
  const limitMs = situation.state === "Running" ? DAY_MS : LONG_MS;
  if (forMs < limitMs) return [];
  const remedy = remedyOf(situation.reason);
  const todo =
    remedy === undefined
      ? `kubectl operation describe ${operation.metadata.name}`
      : `${ACTORS[remedy.who]}: ${remedy.todo.replaceAll("NAME", operation.metadata.name)}`;
  return [warning("operations", `${name}: ${situation.state} for ${age(forMs)}: ${whyOf(situation)}`, todo)];
}

function both<A, B>(one: Seen<A>, other: Seen<B>): Seen<readonly [A, B]> {
  if (!one.ok) return one;
  return other.ok ? { ok: true, value: [one.value, other.value] } : other;
}

function imageOf(
  containers: readonly { name?: string | undefined; image?: string | undefined }[] | undefined,
  name: string,
) {
  return containers?.find((container) => container.name === name)?.image;
}

/** The version in an image's tag, where it is one. */
function versionOf(image: string | undefined): string | undefined {
  return /:v?(\d+\.\d+\.\d+[^@/]*)(@|$)/.exec(image ?? "")?.[1];
}

const CHECKS: readonly Check[] = [
  crds,
  policies,
  rights,
  dispatcher,
  lease,
  settings,
  templates,
  velero,
  locations,
  snapshots,
  clock,
  leftovers,
  stuck,
];
/** What can be asked before anything of ours is installed. */
const BEFORE: readonly Check[] = [velero, locations, snapshots, clock];

/** All findings, in the order in which things depend on each other. */
export function examine(seen: Observed, { before }: { before: boolean }): Finding[] {
  return (before ? BEFORE : CHECKS).flatMap((check) => check(seen));
}
