import { VERSION } from "../../../version.ts";
import { age } from "../../human.ts";
import { type Check, judge, MANIFESTS, ok, problem, skipped, warning } from "../finding.ts";
import type { Observed } from "../observe.ts";
import type { Deployment } from "../resources.ts";

// Whether the dispatcher acts, and by which settings.

export const dispatcher: Check = (seen) =>
  judge("dispatcher", seen.dispatcher, (deployment) => {
    const where = `deployment/operation-dispatcher in namespace ${seen.systemNamespace}`;
    if (deployment === undefined) return problem("dispatcher", `${where} does not exist`, MANIFESTS);
    if (deployment.spec?.replicas === 0) {
      const remedy = `kubectl scale ${where.replace(" in namespace", " -n")} --replicas=1`;
      return problem("dispatcher", `${where} is scaled to 0`, remedy);
    }
    if (!isAvailable(deployment)) {
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

export const lease: Check = (seen) =>
  judge("lease", seen.lease, (held) => {
    // Said already, by the check before.
    if (seen.dispatcher.ok && !isAvailable(seen.dispatcher.value))
      return skipped("lease", "no dispatcher is available");
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

export const settings: Check = (seen) =>
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

/** Whether a dispatcher looks at Operations, as far as can be seen. */
export function dispatcherActs(seen: Observed): boolean {
  return [...dispatcher(seen), ...lease(seen)].every(({ level }) => level !== "problem");
}

function isAvailable(deployment: Deployment | undefined): boolean {
  return (deployment?.status?.availableReplicas ?? 0) > 0;
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
