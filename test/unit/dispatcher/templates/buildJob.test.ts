import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { settingsSchema } from "../../../../src/dispatcher/settings.ts";
import { buildJob, type JobTemplate, jobTemplateSchema } from "../../../../src/dispatcher/templates/buildJob.ts";
import { backupOperation } from "../sampleOperation.ts";

const settings = settingsSchema.parse({ clusterId: "eu-1" });
const shipped = parse(await readFile("jobs/backup.yaml", "utf8"));

function template(change: (raw: typeof shipped) => void = () => undefined): JobTemplate {
  const raw = structuredClone(shipped);
  change(raw);
  return jobTemplateSchema.parse(raw);
}

function podOf(job: ReturnType<typeof buildJob>) {
  const { spec } = jobTemplateSchema.parse(job);
  const [runner] = spec.template.spec.containers;
  if (runner === undefined) throw new Error("no container");
  return { job: spec, metadata: spec.template.metadata, spec: spec.template.spec, runner };
}

test("a Job is named after the Operation and its attempt, and lies beside the dispatcher", () => {
  const first = buildJob(backupOperation(), template(), settings, 1);
  const second = buildJob(backupOperation(), template(), settings, 2);
  expect(first.metadata).toMatchObject({
    namespace: "vworkspace-system",
    name: expect.stringMatching(/^nightly-[0-9a-f]{10}$/),
  });
  expect(second.metadata.name).not.toBe(first.metadata.name);
  expect(first.metadata).not.toHaveProperty("generateName");
  expect(buildJob(backupOperation(), template(), settings, 1)).toEqual(first);
});

test("Job and pod say whose they are", () => {
  const job = buildJob(backupOperation({ name: `${"n".repeat(60)}.weekly` }), template(), settings, 3);
  const labels = {
    "app.kubernetes.io/name": "operation-runner",
    "app.kubernetes.io/component": "backup-runner",
    "app.kubernetes.io/managed-by": "operation-dispatcher",
    "app.vworkspace.io/managed-by": "vworkspace-operator",
    "app.vworkspace.io/cluster-id": "eu-1",
    "app.vworkspace.io/application-instance": "shop",
    "ops.vworkspace.io/operation": "0d6c3a52-6a2f-4c0e-9d3a-0b1f5a7f9c11",
    "ops.vworkspace.io/operation-namespace": "org-a",
    "ops.vworkspace.io/operation-name": expect.stringMatching(/^n{57}[0-9a-f]{6}$/),
    "ops.vworkspace.io/attempt": "3",
    "ops.vworkspace.io/target": "shop",
  };
  expect(job.metadata.labels).toMatchObject(labels);
  expect(podOf(job).metadata.labels).toMatchObject(labels);
});

test("a target's name that is no label value is left out instead of breaking the Job", () => {
  for (const target of ["two words", "", "-", "ä", `x${"\n"}y`]) {
    const { labels } = buildJob(backupOperation({ target }), template(), settings, 1).metadata;
    expect(labels).not.toHaveProperty(["ops.vworkspace.io/target"]);
    expect(labels).not.toHaveProperty(["app.vworkspace.io/application-instance"]);
  }
});

test("the runner is told whom it works for, whatever the template says", () => {
  const { runner } = podOf(
    buildJob(
      backupOperation(),
      template((raw) => {
        const { env } = raw.spec.template.spec.containers[0];
        env.push({ name: "HTTPS_PROXY", value: "http://proxy:3128" });
        env.find((each: { name: string }) => each.name === "OPERATION_NAME").value = "somebody-else";
      }),
      settings,
      1,
    ),
  );
  const names = runner.env?.map(({ name }) => name) ?? [];
  expect(new Set(names).size).toBe(names.length);
  expect(runner.env).toEqual(
    expect.arrayContaining([
      { name: "OPERATION_NAMESPACE", value: "org-a" },
      { name: "OPERATION_NAME", value: "nightly" },
      { name: "OPERATION_UID", value: "0d6c3a52-6a2f-4c0e-9d3a-0b1f5a7f9c11" },
      { name: "VELERO_NAMESPACE", value: "velero" },
      { name: "CLUSTER_ID", value: "eu-1" },
      { name: "LOG_LEVEL", value: "info" },
      { name: "HTTPS_PROXY", value: "http://proxy:3128" },
      {
        name: "JOB_UID",
        valueFrom: { fieldRef: { fieldPath: "metadata.labels['batch.kubernetes.io/controller-uid']" } },
      },
    ]),
  );
});

test("a Restore's runner is told what it leaves out", () => {
  const open = settingsSchema.parse({ restore: { excludedResources: ["limitranges"] } });
  const restore = { ...backupOperation(), spec: { ...backupOperation().spec, type: "Restore" as const } };
  const { runner } = podOf(buildJob(restore, template(), open, 1));
  expect(runner.env).toContainEqual({ name: "RESTORE_EXCLUDED_RESOURCES", value: '["limitranges"]' });
});

test("what is the admin's stays", () => {
  const { spec, runner, job, metadata } = podOf(
    buildJob(
      backupOperation(),
      template((raw) => {
        raw.metadata.labels["kueue.x-k8s.io/queue-name"] = "backups";
        raw.spec.activeDeadlineSeconds = 7200;
        raw.spec.backoffLimit = 1;
        raw.spec.template.metadata.annotations = { "example.com/team": "storage" };
        Object.assign(raw.spec.template.spec, {
          nodeSelector: { disk: "ssd" },
          tolerations: [{ key: "backup", operator: "Exists" }],
          imagePullSecrets: [{ name: "registry" }],
          priorityClassName: "low",
        });
        raw.spec.template.spec.containers[0].image = "registry.example.com/operation-runner:1";
        raw.spec.template.spec.containers[0].env.push({ name: "LOG_LEVEL", value: "debug" });
      }),
      settings,
      1,
    ),
  );
  expect(job).toMatchObject({ activeDeadlineSeconds: 7200, backoffLimit: 1, ttlSecondsAfterFinished: 86_400 });
  expect(metadata.annotations).toEqual({ "example.com/team": "storage" });
  expect(spec).toMatchObject({
    nodeSelector: { disk: "ssd" },
    tolerations: [{ key: "backup", operator: "Exists" }],
    imagePullSecrets: [{ name: "registry" }],
    priorityClassName: "low",
  });
  expect(runner.image).toBe("registry.example.com/operation-runner:1");
  expect(runner.env?.filter(({ name }) => name === "LOG_LEVEL")).toEqual([{ name: "LOG_LEVEL", value: "debug" }]);
  expect(runner.resources).toEqual(shipped.spec.template.spec.containers[0].resources);
});

test("what must hold is set again", () => {
  const { spec, runner, job } = podOf(
    buildJob(
      backupOperation({ type: "Restore" }),
      template((raw) => {
        raw.spec.podFailurePolicy = { rules: [] };
        raw.spec.podReplacementPolicy = "TerminatingOrFailed";
        raw.spec.template.spec.serviceAccountName = "cluster-admin";
        raw.spec.template.spec.restartPolicy = "OnFailure";
        raw.spec.template.spec.securityContext = { runAsNonRoot: false, runAsUser: 1000 };
        raw.spec.template.spec.containers[0].securityContext = {
          privileged: true,
          capabilities: { add: ["SYS_ADMIN"] },
        };
        raw.spec.template.spec.initContainers = [{ name: "ca", image: "certs:1" }];
      }),
      settings,
      1,
    ),
  );
  expect(job).toMatchObject({
    podReplacementPolicy: "Failed",
    podFailurePolicy: {
      rules: [
        { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
        { action: "FailJob", onExitCodes: { containerName: "runner", operator: "In", values: [2] } },
      ],
    },
  });
  expect(spec).toMatchObject({ serviceAccountName: "operation-restore-runner", restartPolicy: "Never" });
  expect(spec.securityContext).toEqual({
    runAsNonRoot: true,
    runAsUser: 1000,
    seccompProfile: { type: "RuntimeDefault" },
  });
  for (const container of [runner, ...(spec.initContainers ?? [])]) {
    expect(container.securityContext).toEqual({
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      capabilities: { drop: ["ALL"] },
    });
  }
});
