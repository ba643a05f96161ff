import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, parseAllDocuments, stringify } from "yaml";
import { z } from "zod";
import { NOT_IN_CHART } from "../../manifests/helmChart.ts";
import { settingsSchema } from "../../src/dispatcher/settings.ts";
import { type StartedCluster, startCluster } from "../cluster/startCluster.ts";
import { CHART, type Helm, helmFor } from "../scenario/helm.ts";
import { temporaryFolder } from "../temporaryFolder.ts";

// The chart by Helm itself, on a cluster of its own: it installs, upgrades and uninstalls.
const folder = temporaryFolder();
const NAMESPACE = "vworkspace-system";
const RELEASE = ["operation-runner", CHART, "-n", NAMESPACE];
let cluster: StartedCluster;
let home: string;
let helm: Helm;

beforeAll(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), "helm-"));
  cluster = await startCluster({ tier: "api", env: process.env, progress: () => undefined });
  helm = await helmFor(cluster, home);
});
afterAll(async () => {
  await cluster?.down();
  await rm(home, { recursive: true });
});

/** The output of a program that has to succeed. */
async function succeeds(answer: ReturnType<Helm>): Promise<string> {
  const result = await answer;
  expect(result, result.stderr).toMatchObject({ code: 0 });
  return result.stdout;
}
/** As Helm reads it: YAML 1.1. */
const toYaml = (object: object) => stringify(object, { version: "1.1" });
const kubectl = (...args: string[]) => succeeds(cluster.kubectl(args));
const inCluster = async (...args: string[]) => (await cluster.kubectl(["get", ...args])).code === 0;

const objectSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().optional(),
    annotations: z.record(z.string(), z.string()).optional(),
  }),
  data: z.record(z.string(), z.unknown()).optional(),
});
type ManifestObject = z.infer<typeof objectSchema>;

/** Objects by what they are, without Helm's own annotation; a ConfigMap's texts as the YAML that they are. */
function objectsIn(yaml: string): Record<string, ManifestObject> {
  const objects = parseAllDocuments(yaml)
    .map((document) => document.toJS())
    .filter((object) => object !== null)
    .map((object) => objectSchema.parse(object));
  return Object.fromEntries(
    objects.map(({ metadata: { annotations, ...metadata }, data, ...object }) => {
      const { "helm.sh/resource-policy": _, ...others } = annotations ?? {};
      const isSettings = object.kind === "ConfigMap" && data !== undefined;
      const read = Object.entries(data ?? {}).map(([key, text]) => [key, isSettings ? parse(String(text)) : text]);
      return [
        [object.apiVersion, object.kind, metadata.namespace, metadata.name].join(" "),
        {
          ...object,
          metadata: { ...metadata, ...(Object.keys(others).length > 0 && { annotations: others }) },
          ...(data !== undefined && { data: Object.fromEntries(read) }),
        },
      ];
    }),
  );
}

const rendered = async (...args: string[]) => objectsIn(await succeeds(helm("template", ...RELEASE, ...args)));

/** What kustomize builds of these folders under manifests. */
async function built(resources: string[], components: string[] = []): Promise<Record<string, ManifestObject>> {
  const overlay = path.join(folder(), "overlay");
  const from = (names: string[]) => names.map((name) => path.relative(overlay, path.resolve("manifests", name)));
  await mkdir(overlay, { recursive: true });
  const kustomization = { resources: from(resources), components: from(components) };
  await writeFile(path.join(overlay, "kustomization.yaml"), stringify(kustomization));
  return objectsIn(await kubectl("kustomize", overlay));
}

/** The text that the chart puts into a ConfigMap, read as YAML. */
async function configMap(name: string, ...args: string[]) {
  const objects = await rendered(...args);
  return objects[`v1 ConfigMap ${NAMESPACE} ${name}`]?.data ?? {};
}

describe("what the chart has", () => {
  test("passes helm lint", async () => {
    await succeeds(helm("lint", CHART, "-n", NAMESPACE, "--strict"));
  });

  test("is what kustomize builds, by default", async () => {
    expect(await rendered()).toEqual(await built(["."]));
  });

  test("is what kustomize builds with the bundled Velero", async () => {
    expect(await rendered("--set", "velero.enabled=true")).toEqual(await built([".", "velero"]));
    const without = await rendered("--set", "velero.enabled=true,velero.snapshotCrds=false");
    expect(Object.keys(without).filter((id) => id.includes("snapshot.storage"))).toEqual([]);
    expect(Object.keys(without).filter((id) => id.includes("velero.io"))).not.toEqual([]);
  });

  test("is what kustomize builds with each component, and has what two of them bring once", async () => {
    const components = (await readdir("manifests/components")).filter((name) => !NOT_IN_CHART.includes(name));
    for (const name of components) {
      const value = name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
      const wanted = await built(["."], [`components/${name}`]);
      expect(byEnv(await rendered("--set", `components.${value}=true`)), name).toEqual(byEnv(wanted));
    }
    const both = await succeeds(
      helm("template", ...RELEASE, "--set", "components.hardened=true,components.noVeleroHooks=true"),
    );
    expect(both.match(/^ {2}name: no-velero-hooks.ops.vworkspace.io$/gm)).toHaveLength(2);
  });
});

/** Components add to the environment of the dispatcher at different ends of the list. */
function byEnv(objects: Record<string, ManifestObject>): unknown {
  return JSON.parse(JSON.stringify(objects), (key, value) =>
    key === "env" && Array.isArray(value) ? value.map((each) => JSON.stringify(each)).sort() : value,
  );
}

describe("values", () => {
  test("of a user stay the text that they are", async () => {
    const nasty = 'a"b: {{ .Release.Name }} # c\n- d';
    const values = path.join(folder(), "values.yaml");
    await writeFile(
      values,
      toYaml({
        image: { repository: "registry.example.com/or", tag: "1" },
        jobImages: ["registry.example.com/init:1"],
        clusterId: "0123",
        veleroNamespace: "123",
        settings: { limits: { maxConcurrent: 4 }, approvalKeyFile: nasty, storageLocations: { a: ["on"] } },
        dispatcher: {
          env: [{ name: "HTTPS_PROXY", value: nasty }],
          nodeSelector: { pool: "true" },
          volumes: [{ name: "key", secret: { secretName: "key" } }],
        },
        jobs: {
          labels: { "kueue.x-k8s.io/queue-name": "on" },
          env: [{ name: "NO_PROXY", value: nasty }],
          resources: { limits: { memory: "1Gi" } },
          podAnnotations: { note: nasty },
        },
      }),
    );
    const objects = await rendered("-f", values);

    const settings = objects[`v1 ConfigMap ${NAMESPACE} operation-dispatcher-settings`]?.data?.["settings.yaml"];
    expect(settings).toEqual({
      clusterId: "0123",
      veleroNamespace: "123",
      limits: { maxConcurrent: 4 },
      approvalKeyFile: nasty,
      storageLocations: { a: ["on"] },
    });
    expect(settingsSchema.safeParse(settings).success).toBe(true);
    const { "backup.yaml": job } = objects[`v1 ConfigMap ${NAMESPACE} operation-jobs`]?.data ?? {};
    expect(job).toMatchObject({
      metadata: { labels: { "kueue.x-k8s.io/queue-name": "on", "app.kubernetes.io/component": "backup-runner" } },
      spec: {
        template: {
          metadata: { annotations: { note: nasty } },
          spec: {
            containers: [
              {
                image: "registry.example.com/or:1",
                resources: { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "50m", memory: "128Mi" } },
                env: expect.arrayContaining([
                  { name: "CLUSTER_ID", value: "0123" },
                  { name: "VELERO_NAMESPACE", value: "123" },
                  { name: "NO_PROXY", value: nasty },
                ]),
              },
            ],
          },
        },
      },
    });
    expect(objects[`apps/v1 Deployment ${NAMESPACE} operation-dispatcher`]).toMatchObject({
      spec: {
        template: {
          spec: {
            nodeSelector: { pool: "true" },
            containers: [{ env: expect.arrayContaining([{ name: "HTTPS_PROXY", value: nasty }]) }],
            volumes: [{ name: "settings" }, { name: "key", secret: { secretName: "key" } }],
          },
        },
      },
    });
    expect(objects[`v1 Namespace  ${NAMESPACE}`]?.metadata.annotations).toEqual({
      "ops.vworkspace.io/job-images": "registry.example.com/or, registry.example.com/init:1",
    });
    expect(objects["rbac.authorization.k8s.io/v1 Role 123 operation-backup-runner"]).toBeDefined();
    expect(Object.keys(objects).filter((id) => id.includes(" velero "))).toEqual([]);
  });

  test("take a whole Job template in place of the chart's", async () => {
    const own = path.join(folder(), "own.yaml");
    await writeFile(own, "# mine: {{ not a template }}\nkind: Job\nspec: { a: 1 }\n");
    const jobs = await configMap("operation-jobs", "--set-file", `jobTemplates.restore=${own}`);
    expect(jobs["restore.yaml"]).toEqual({ kind: "Job", spec: { a: 1 } });
    expect(jobs["backup.yaml"]).toMatchObject({ metadata: { generateName: "backup-" } });
  });

  test("leave the policies and the namespace out", async () => {
    const kinds = async (...args: string[]) => new Set(Object.values(await rendered(...args)).map(({ kind }) => kind));
    expect([...(await kinds())]).toEqual(expect.arrayContaining(["Namespace", "ValidatingAdmissionPolicy"]));
    const left = [...(await kinds("--set", "policies.enabled=false,namespace.create=false"))];
    expect(left.filter((kind) => /^(Namespace|Validating.*)$/.test(kind))).toEqual([]);
  });

  test("name the namespace of the release wherever the manifests name theirs", async () => {
    const yaml = await succeeds(helm("template", "operation-runner", CHART, "-n", "backups"));
    expect(yaml).not.toContain(NAMESPACE);
    expect(yaml).toContain("name in ['backups', request.namespace]");
  });

  test.each([
    ["imagee.tag=1", /imagee/],
    ["image.tga=1", /tga/],
    ["settings.limits.maxConcurrrent=1", /maxConcurrrent/],
    ["settings.limits.maxConcurrent=many", /maxConcurrent.*integer/s],
    ["settings.veleroNamespace=v", /veleroNamespace/],
    ["components.hardenedd=true", /hardenedd/],
    ["veleroNamespace=Velero", /veleroNamespace/],
    ["jobs.resources.limit.cpu=1", /limit/],
  ])("that are wrong are refused by their name: %s", async (set, message) => {
    const { code, stderr } = await helm("template", ...RELEASE, "--set", set);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(message);
  });

  test("keep it out of namespaces that are not its own", async () => {
    const { code, stderr } = await helm("template", "operation-runner", CHART, "-n", "default");
    expect(code).not.toBe(0);
    expect(stderr).toContain("-n vworkspace-system --create-namespace");
  });
});

describe("in a cluster", () => {
  const operation = {
    apiVersion: "ops.vworkspace.io/v1alpha1",
    kind: "Operation",
    metadata: { name: "kept", namespace: "org-a" },
    spec: {
      targetRef: { apiVersion: "apps.vworkspace.io/v1alpha1", kind: "ApplicationInstance", name: "app" },
      type: "Backup",
      engine: "velero",
    },
  };
  const backup = {
    apiVersion: "velero.io/v1",
    kind: "Backup",
    metadata: { name: "kept", namespace: "velero" },
    spec: {},
  };
  const kept = async () =>
    (await inCluster("operation", "kept", "-n", "org-a")) &&
    (await inCluster("backup.velero.io", "kept", "-n", "velero"));

  test("it is installed into a new namespace, with Velero, and says what to do next", async () => {
    const notes = await succeeds(helm("install", ...RELEASE, "--create-namespace", "--set", "velero.enabled=true"));

    expect(notes).toContain(`kubectl rollout status -n ${NAMESPACE} deployment/operation-dispatcher`);
    expect(await kubectl("get", "namespace", NAMESPACE, "-o", "jsonpath={.metadata.labels}")).toContain(
      '"pod-security.kubernetes.io/enforce":"restricted"',
    );
    expect(await inCluster("deployment", "velero", "-n", "velero")).toBe(true);
    await kubectl("create", "namespace", "org-a");
    await cluster.apply([operation, backup]);
  });

  test("an upgrade changes settings, templates and CRDs, and starts no new dispatcher for them", async () => {
    const pod = () =>
      kubectl("get", "deployment", "operation-dispatcher", "-n", NAMESPACE, "-o", "jsonpath={.spec.template}");
    const before = await pod();
    await kubectl(
      "annotate",
      "crd",
      "operations.ops.vworkspace.io",
      "--overwrite",
      "argocd.argoproj.io/sync-options=old",
    );
    const set = "settings.limits.maxConcurrent=7,jobs.ttlSecondsAfterFinished=60,velero.enabled=true";
    await succeeds(helm("upgrade", ...RELEASE, "--set", set, "--force-conflicts"));

    expect(await pod()).toBe(before);
    const text = (name: string, key: string) =>
      kubectl("get", "configmap", name, "-n", NAMESPACE, "-o", `jsonpath={.data.${key}\\.yaml}`);
    expect(parse(await text("operation-dispatcher-settings", "settings"))).toMatchObject({
      limits: { maxConcurrent: 7 },
    });
    expect(parse(await text("operation-jobs", "backup"))).toMatchObject({ spec: { ttlSecondsAfterFinished: 60 } });
    const crd = await kubectl("get", "crd", "operations.ops.vworkspace.io", "-o", "jsonpath={.metadata.annotations}");
    expect(crd).toContain("Prune=false,Delete=false");
  });

  test("without Velero's value, Velero goes and every backup stays", async () => {
    await succeeds(helm("upgrade", ...RELEASE, "--reset-values"));
    expect(await inCluster("deployment", "velero", "-n", "velero")).toBe(false);
    expect(await kept()).toBe(true);
  });

  test("uninstalled, it leaves CRDs, Operations and backups; installed again, it takes them over", async () => {
    await succeeds(helm("uninstall", "operation-runner", "-n", NAMESPACE));
    expect(await inCluster("clusterrole", "operation-dispatcher")).toBe(false);
    expect(await inCluster("deployment", "operation-dispatcher", "-n", NAMESPACE)).toBe(false);
    expect(await kept()).toBe(true);

    await succeeds(helm("install", ...RELEASE, "--set", "velero.enabled=true"));
    expect(await kept()).toBe(true);
    await succeeds(helm("uninstall", "operation-runner", "-n", NAMESPACE));
  });

  test("it takes over what kustomize has installed, if told so", async () => {
    await kubectl("apply", "-k", "manifests");
    const refused = await helm("install", ...RELEASE);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("invalid ownership metadata") });

    await succeeds(helm("install", ...RELEASE, "--take-ownership", "--force-conflicts"));
    expect(await kept()).toBe(true);
    await succeeds(helm("uninstall", "operation-runner", "-n", NAMESPACE));
  });

  test("it is installed into another namespace, which may be somebody else's", async () => {
    await kubectl("create", "namespace", "backups");
    const own = ["operation-runner", CHART, "-n", "backups", "--set", "namespace.create=false"];
    const notes = await succeeds(helm("install", ...own, "--take-ownership"));

    expect(notes).toContain("kubectl label namespace backups");
    expect(await inCluster("deployment", "operation-dispatcher", "-n", "backups")).toBe(true);
    const as = "--as=system:serviceaccount:backups:operation-dispatcher";
    expect(await kubectl("auth", "can-i", "list", "backups.velero.io", "-n", "velero", as)).toBe("yes\n");
    await succeeds(helm("uninstall", "operation-runner", "-n", "backups"));
    expect(await inCluster("namespace", "backups")).toBe(true);
    expect(await kept()).toBe(true);
  });
});
