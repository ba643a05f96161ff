import { locationHindrance } from "../../../api/velero.ts";
import { both, type Check, judge, ok, problem, skipped, warning } from "../finding.ts";

// Whether Velero works, and has what it needs.

/** Versions of Velero that this project is tested with: the first, and the first that is not any more. */
const VELERO_FROM = [1, 14] as const;
const VELERO_BEFORE = [1, 19] as const;

export const velero: Check = (seen) =>
  judge("velero", both(seen.velero, seen.server), ([deployment, answer]) => {
    const where = `deployment/velero in namespace ${seen.veleroNamespace}`;
    if (deployment === undefined) {
      const remedy =
        "install Velero there, or correct the setting veleroNamespace: restores need a Deployment of that name";
      return problem("velero", `${where} does not exist`, remedy);
    }
    if (deployment.spec?.replicas === 0) {
      const remedy = `kubectl scale ${where.replace(" in namespace", " -n")} --replicas=1`;
      return problem("velero", `${where} is scaled to 0`, remedy);
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

export const locations: Check = (seen) =>
  judge("locations", seen.locations, (all) => {
    const names = all.map(({ metadata }) => metadata.name);
    if (all.length === 0 && seen.velero.ok && seen.velero.value === undefined) {
      return skipped("locations", `there is no Velero in namespace ${seen.veleroNamespace}`);
    }
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

export const snapshots: Check = (seen) =>
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
