import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { ownCluster } from "../cluster/testCluster.ts";
import { runCli } from "../integration/cli/runCli.ts";
import { installPlatform, SYSTEM_NAMESPACE, systemKubectl, VELERO_NAMESPACE, waitFor } from "../scenario/platform.ts";

// One thing at a time is broken on a whole platform; `doctor` names it, once, and what it says to do mends it.
const cluster = await ownCluster();
const EXAMPLE = "docs/examples/doctor/doctor.yaml";

const reportSchema = z.object({
  findings: z.array(
    z.object({ check: z.string(), level: z.string(), message: z.string(), remedy: z.string().optional() }),
  ),
});

const locationSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  spec: z.looseObject({ objectStorage: z.looseObject({ bucket: z.string() }) }),
});

async function doctor() {
  const { code, stdout } = await runCli(["doctor", "-o", "json"], { kubeconfig: cluster.kubeconfig });
  const { findings } = reportSchema.parse(JSON.parse(stdout));
  return { code, trouble: findings.filter(({ level }) => level === "problem" || level === "warning"), findings };
}

async function kubectl(...args: string[]): Promise<void> {
  const { code, stderr } = await cluster.kubectl(args);
  if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr}`);
}

const patch = (where: readonly string[], change: object) =>
  kubectl("patch", ...where, "--type=merge", "-p", JSON.stringify(change));
const inSystem = (what: string) => ["-n", SYSTEM_NAMESPACE, what];
const IMAGE = "ghcr.io/vworkspace-io/operation-runner";
const LOCATION = ["-n", VELERO_NAMESPACE, "backupstoragelocation/default"];
const SECOND = ["-n", VELERO_NAMESPACE, "backupstoragelocation/second"];
const TEMPLATES = "operation-jobs";
const SETTINGS = "operation-dispatcher-settings";
const POLICY = "validatingadmissionpolicy";
const SUFFIX = "ops.vworkspace.io";

/** Adds a location beside the default one. */
async function addLocation(inBucket: string, phase: string): Promise<void> {
  const found = await cluster.kubectl(["get", ...LOCATION, "-o", "json"]);
  const { apiVersion, kind, spec } = locationSchema.parse(JSON.parse(found.stdout));
  const metadata = { namespace: VELERO_NAMESPACE, name: "second" };
  const objectStorage = { ...spec.objectStorage, bucket: inBucket, prefix: "second" };
  await cluster.apply([{ apiVersion, kind, metadata, spec: { ...spec, objectStorage, default: false } }]);
  await waitFor(cluster, ["backupstoragelocation/second", "-n", VELERO_NAMESPACE], `jsonpath={.status.phase}=${phase}`);
}

/** Runs the command that a remedy gives, as whoever reads it would. */
async function asTold(remedy: string | undefined): Promise<void> {
  const [, command = ""] = /^kubectl (.*)$/.exec(remedy ?? "") ?? [];
  if (command === "apply -k manifests") return await cluster.apply("manifests");
  await kubectl(...command.replaceAll("'", "").split(" "));
}

interface Breakage {
  readonly broken: () => Promise<void>;
  /** The one line that tells it. */
  readonly told: { readonly check: string; readonly level: "problem" | "warning"; readonly message: RegExp };
  /** What the remedy says, and how it is followed. */
  readonly remedy: RegExp;
  readonly mend: (remedy: string | undefined) => Promise<void>;
}

const problem = (check: string, message: RegExp) => ({ check, level: "problem", message }) as const;
const warning = (check: string, message: RegExp) => ({ check, level: "warning", message }) as const;
const reapply = { remedy: /^kubectl apply -k manifests$/, mend: asTold };

/** The data of the shipped ConfigMaps, by name. */
const shipped = new Map<string, unknown>();
const correct = (name: string) => ({
  remedy: new RegExp(`^correct the ConfigMap ${name}`),
  mend: () => patch(inSystem(`configmap/${name}`), { data: shipped.get(name) }),
});

const BREAKAGES: Readonly<Record<string, Breakage>> = {
  "a policy is gone": {
    broken: () => kubectl("delete", `${POLICY}/operation-rights.${SUFFIX}`),
    told: problem("policies", /^operation-rights.* is not installed/),
    ...reapply,
  },
  "a policy is not bound": {
    broken: () => kubectl("delete", `${POLICY}binding/runner-backup.${SUFFIX}`),
    told: problem("policies", /^runner-backup.* is not bound/),
    ...reapply,
  },
  "a policy only warns": {
    broken: () => patch([`${POLICY}binding/runner-status.${SUFFIX}`], { spec: { validationActions: ["Warn"] } }),
    told: problem("policies", /^runner-status.* does not deny, only Warn$/),
    remedy: /^kubectl patch validatingadmissionpolicybinding\/runner-status/,
    mend: asTold,
  },
  "a runner has lost its rights": {
    broken: () => kubectl("delete", "-n", VELERO_NAMESPACE, "rolebinding/operation-backup-runner"),
    told: problem("rights", /^missing: operation-backup-runner: create backups/),
    ...reapply,
  },
  "the dispatcher has lost a right": {
    broken: () => kubectl("delete", "clusterrolebinding/operation-dispatcher"),
    told: problem("rights", /^missing: operation-dispatcher: list operations/),
    ...reapply,
  },
  "the templates are gone": {
    broken: () => kubectl("delete", ...inSystem("configmap/operation-jobs")),
    told: problem("templates", /^ConfigMap operation-jobs .*does not exist$/),
    ...reapply,
  },
  "a template cannot be read": {
    broken: () => patch(inSystem(`configmap/${TEMPLATES}`), { data: { "backup.yaml": "a: [" } }),
    told: problem("templates", /backup\.yaml: not valid YAML/),
    ...correct(TEMPLATES),
  },
  "a template names another Velero than the settings": {
    broken: async () => {
      const template = await readFile("jobs/backup.yaml", "utf8");
      const data = { "backup.yaml": template.replace(/value: velero$/m, "value: elsewhere") };
      await patch(inSystem(`configmap/${TEMPLATES}`), { data });
    },
    told: warning("templates", /VELERO_NAMESPACE is "elsewhere" but the settings say "velero"/),
    ...correct(TEMPLATES),
  },
  "the templates' image is not allowed": {
    broken: () => kubectl("annotate", "--overwrite", `namespace/${SYSTEM_NAMESPACE}`, `${SUFFIX}/job-images=other`),
    told: problem("templates", /^the dispatcher may not make Jobs of /),
    remedy: /^add it to the annotation ops\.vworkspace\.io\/job-images of namespace vworkspace-system/,
    mend: () =>
      kubectl("annotate", "--overwrite", `namespace/${SYSTEM_NAMESPACE}`, `${SUFFIX}/job-images=other,${IMAGE}`),
  },
  "the settings cannot be used": {
    broken: () =>
      patch(inSystem(`configmap/${SETTINGS}`), {
        data: { "settings.yaml": "limits: {maxConcurrent: 0}" },
      }),
    told: problem("settings", /limits\.maxConcurrent/),
    ...correct(SETTINGS),
  },
  "the dispatcher is scaled to 0": {
    broken: async () => {
      await kubectl("scale", ...inSystem("deployment/operation-dispatcher"), "--replicas=0");
      await waitFor(cluster, inSystem("pods").concat("-l", "app.kubernetes.io/component=dispatcher"), "delete");
    },
    told: problem("dispatcher", /is scaled to 0$/),
    remedy: /^kubectl scale .*--replicas=1$/,
    mend: asTold,
  },
  "Velero is scaled to 0": {
    broken: async () => {
      await kubectl("scale", "-n", VELERO_NAMESPACE, "deployment/velero", "--replicas=0");
      await waitFor(cluster, ["pods", "-n", VELERO_NAMESPACE, "-l", "deploy=velero"], "delete");
    },
    told: problem("velero", /is scaled to 0$/),
    remedy: /^kubectl scale .*--replicas=1$/,
    mend: async (remedy) => {
      await asTold(remedy);
      await waitFor(cluster, ["deployment/velero", "-n", VELERO_NAMESPACE], "condition=Available");
    },
  },
  "a location is read-only": {
    broken: () => patch(LOCATION, { spec: { accessMode: "ReadOnly" } }),
    told: warning("locations", /^default is ReadOnly/),
    remedy: /set spec\.accessMode to ReadWrite/,
    mend: () => patch(LOCATION, { spec: { accessMode: "ReadWrite" } }),
  },
  // Velero looks at once at a location that is new, and at the others once a minute.
  "a location's bucket does not exist": {
    broken: () => addLocation("no-such-bucket", "Unavailable"),
    told: problem("locations", /^second is Unavailable: .*bucket/i),
    remedy: /^mend what the message names: bucket/,
    mend: async () => {
      await kubectl("delete", ...SECOND);
      await addLocation(bucket, "Available");
    },
  },
};

let bucket: string;

beforeAll(async () => {
  await installPlatform(cluster, () => {});
  for (const name of [TEMPLATES, SETTINGS]) {
    const { stdout } = await cluster.kubectl(["get", ...inSystem(`configmap/${name}`), "-o", "json"]);
    shipped.set(name, z.looseObject({ data: z.unknown() }).parse(JSON.parse(stdout)).data);
  }
  const path = "jsonpath={.spec.objectStorage.bucket}";
  bucket = (await cluster.kubectl(["get", ...LOCATION, "-o", path])).stdout;
});

describe("doctor", () => {
  it("finds a platform as it is shipped in order, and leaves nothing out", async () => {
    const { code, trouble, findings } = await doctor();
    expect(trouble).toEqual([]);
    expect(findings.filter(({ level }) => level !== "ok")).toEqual([]);
    expect(code).toBe(0);
  });

  it("does so in the cluster as well, as a Job that is let in, with no rights but those it needs", async () => {
    await kubectl("apply", "-f", EXAMPLE);
    await waitFor(cluster, inSystem("job/operation-doctor"), "condition=Complete");
    expect(await systemKubectl(cluster, "logs", "job/operation-doctor")).toMatch(
      /\n0 problems, 0 warnings, \d+ ok, 0 skipped\n$/,
    );
    await kubectl("delete", "-f", EXAMPLE);
  });

  it.each(Object.keys(BREAKAGES))("says once that %s, and what it says to do mends it", async (what) => {
    const breakage = BREAKAGES[what];
    if (breakage === undefined) throw new Error(what);
    await breakage.broken();
    const { code, trouble } = await doctor();
    const { check, level, message } = breakage.told;
    expect(trouble).toEqual([
      { check, level, message: expect.stringMatching(message), remedy: expect.stringMatching(breakage.remedy) },
    ]);
    expect(code).toBe(level === "problem" ? 2 : 0);
    await breakage.mend(trouble[0]?.remedy);
    await expect.poll(async () => (await doctor()).trouble, { timeout: 120_000 }).toEqual([]);
  });
});
