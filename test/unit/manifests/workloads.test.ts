import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { objectsIn, repository } from "./manifests.ts";

const containerSchema = z.looseObject({
  name: z.string(),
  image: z.string(),
  args: z.array(z.string()).optional(),
  env: z.array(z.looseObject({ name: z.string(), value: z.string().optional() })).optional(),
  resources: z.object({ requests: z.record(z.string(), z.string()), limits: z.record(z.string(), z.string()) }),
  securityContext: z.looseObject({}),
  volumeMounts: z.array(z.looseObject({ name: z.string(), readOnly: z.boolean().default(false) })).default([]),
});
const workloadSchema = z.looseObject({
  kind: z.string(),
  metadata: z.looseObject({ name: z.string().optional(), generateName: z.string().optional() }),
  spec: z.looseObject({
    template: z.looseObject({
      spec: z.looseObject({
        serviceAccountName: z.string(),
        securityContext: z.looseObject({}),
        initContainers: z.array(containerSchema).default([]),
        containers: z.array(containerSchema),
        volumes: z.array(z.looseObject({ name: z.string() })).default([]),
      }),
    }),
  }),
});

const workloads = objectsIn("jobs", "manifests/base", "manifests/velero/base")
  .filter(({ kind }) => kind === "Job" || kind === "Deployment")
  .map((object) => workloadSchema.parse(object))
  .map((workload) => ({ ...workload, title: workload.metadata.name ?? workload.metadata.generateName }));
const jobs = workloads.filter(({ kind }) => kind === "Job");

test("everything that runs is covered here", () => {
  expect(workloads.map(({ title }) => title).sort()).toEqual(["backup-", "operation-dispatcher", "restore-", "velero"]);
});

describe.each(workloads)("$title", ({ spec: { template } }) => {
  const { containers, initContainers, securityContext } = template.spec;

  test("meets PodSecurity restricted, with a root file system that nobody writes to", () => {
    expect(securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
    for (const container of [...initContainers, ...containers]) {
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
    }
  });

  test("says what it needs and where it stops", () => {
    for (const { resources } of [...initContainers, ...containers]) {
      expect(Object.keys(resources.requests)).toEqual(["cpu", "memory"]);
      expect(Object.keys(resources.limits)).toEqual(["cpu", "memory"]);
    }
  });
});

describe.each(jobs)("the Job template $title", ({ metadata, spec }) => {
  const type = metadata.generateName?.replace(/-$/, "");
  const runner = spec.template.spec.containers.find(({ name }) => name === "runner");

  test("runs the runner under the account of its type", () => {
    expect(spec.template.spec.serviceAccountName).toBe(`operation-${type}-runner`);
    expect(runner?.args).toEqual(["run"]);
  });

  test("has no name, and leaves the Operation to be filled in, so that kubectl alone can make Jobs of it", () => {
    expect(metadata.name).toBeUndefined();
    const empty = runner?.env?.filter(({ value }) => value === "").map(({ name }) => name);
    expect(empty).toEqual(["OPERATION_NAMESPACE", "OPERATION_NAME", "OPERATION_UID", "CLUSTER_ID"]);
  });

  test("retries what may pass, ends at once on the final exit code, and never lets two pods work", () => {
    expect(spec).toMatchObject({
      backoffLimit: 3,
      podReplacementPolicy: "Failed",
      podFailurePolicy: {
        rules: [
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
          { action: "FailJob", onExitCodes: { containerName: "runner", operator: "In", values: [2] } },
        ],
      },
      ttlSecondsAfterFinished: 86_400,
      template: { spec: { restartPolicy: "Never" } },
    });
    // A backup takes as long as it takes.
    expect(spec).not.toHaveProperty("activeDeadlineSeconds");
  });

  test("differs from the other only by its type", () => {
    const [one, two] = ["backup", "restore"].map((name) =>
      readFileSync(join(repository, "jobs", `${name}.yaml`), "utf8").replaceAll(
        /\b(backup|restore|Backup|Restore|b1|r1)\b/g,
        "X",
      ),
    );
    expect(one).toBe(two);
  });
});

describe.each(workloads.filter(({ title }) => title !== "velero"))("$title, as whichever user", ({ spec }) => {
  const { securityContext, containers } = spec.template.spec;

  test("leaves the user to the cluster, which may allow none but of a range of its own (OpenShift)", () => {
    for (const { securityContext: own } of [{ securityContext }, ...containers]) {
      for (const field of ["runAsUser", "runAsGroup", "fsGroup"]) expect(own).not.toHaveProperty(field);
    }
  });

  test("has an image whose user is a number, or the kubelet could not tell that it is not root", () => {
    const dockerfile = readFileSync(join(repository, "Dockerfile"), "utf8");
    expect(dockerfile.match(/^USER (.*)$/gm)?.at(-1)).toMatch(/^USER [1-9]\d*:[1-9]\d*$/);
  });

  test("writes, if anywhere, where everybody may: an emptyDir", () => {
    const volumes = new Map(spec.template.spec.volumes.map((volume) => [volume.name, volume]));
    for (const { name, readOnly } of containers.flatMap(({ volumeMounts }) => volumeMounts)) {
      if (!readOnly) expect(volumes.get(name)).toHaveProperty("emptyDir");
    }
  });
});

describe("the images", () => {
  const images = workloads.flatMap(({ spec: { template } }) =>
    [...template.spec.initContainers, ...template.spec.containers].map(({ image }) => image),
  );

  test("are this release, and the Velero that the tests run", () => {
    const { version } = z
      .object({ version: z.string() })
      .parse(JSON.parse(readFileSync(join(repository, "package.json"), "utf8")));
    const goMod = readFileSync(join(repository, "test/cluster/modules/velero/go.mod"), "utf8");
    const pinned = (module: string) =>
      goMod.match(new RegExp(`^\\s*github\\.com/vmware-tanzu/${module} (\\S+)$`, "m"))?.[1];
    expect([...new Set(images)].sort()).toEqual([
      `ghcr.io/vworkspace-io/operation-runner:${version}`,
      `velero/velero-plugin-for-aws:${pinned("velero-plugin-for-aws")}`,
      `velero/velero:${pinned("velero")}`,
    ]);
  });
});
