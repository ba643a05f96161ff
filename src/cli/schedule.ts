import { type KubeObject, kubeObjectSchema, type Manifest } from "../kube/metadata.ts";
import { apiVersionOf, type Resource } from "../kube/resource.ts";
import { VERSION } from "../version.ts";
import { UsageError } from "./exit.ts";
import { backupFlags, flagOf, givenFlags } from "./flags.ts";

/** What has a cluster ask for a backup again and again: a CronJob of Kubernetes', and nothing of ours. docs/cli.md#schedules. */

/** The shipped ClusterRole that lets an account ask for Operations in one namespace (manifests/base/rbac-users.yaml). */
export const ASKING_ROLE = "operation-schedule";
/** The account of a namespace's schedules, and its RoleBinding. */
export const ACCOUNT = "operation-schedule";
export const IMAGE = `ghcr.io/vworkspace-io/operation-runner:${VERSION}`;

const resource = (group: string, plural: string, kind: string): Resource => {
  return { group, version: "v1", plural, kind, namespaced: true, schema: kubeObjectSchema };
};
export const serviceAccounts = resource("", "serviceaccounts", "ServiceAccount");
export const roleBindings = resource("rbac.authorization.k8s.io", "rolebindings", "RoleBinding");
export const cronJobs = resource("batch", "cronjobs", "CronJob");

/** Kubernetes allows 52 characters, because the name of each Job has eleven more. */
const MAX_CRON_JOB_NAME = 52;

export interface ScheduleWish {
  readonly target: string;
  readonly name: string;
  readonly namespace: string;
  /** When, in the five fields of cron. The API server checks it. */
  readonly cron: string;
  readonly timeZone?: string | undefined;
  readonly suspend: boolean;
  readonly image: string;
  /** The flags of `backup` that each Operation gets. */
  readonly flags: readonly string[];
}

/** The name of the schedule of a target, for who gives none. */
export function scheduleName(target: string): string {
  return `${target}-backup`.slice(0, MAX_CRON_JOB_NAME).replace(/[-.]+$/, "");
}

/**
 * The account that asks, its right to do so, and the CronJob. Each Job asks for an Operation of its own name, so a pod that is
 * started again follows the Operation that the one before it has made, and waits for its end: the Job ends as the backup.
 *
 * @throws UsageError when the name is longer than that of a CronJob may be
 */
export function scheduleFor({ target, name, namespace, cron, timeZone, suspend, image, flags }: ScheduleWish): {
  readonly account: Manifest;
  readonly binding: Manifest;
  readonly cronJob: Manifest;
} {
  if (name.length > MAX_CRON_JOB_NAME)
    throw new UsageError(`name "${name}": a schedule's has ${MAX_CRON_JOB_NAME} characters at most`);
  const own = { name: ACCOUNT, namespace };
  return {
    account: { ...typeOf(serviceAccounts), metadata: own },
    binding: {
      ...typeOf(roleBindings),
      metadata: own,
      roleRef: { apiGroup: roleBindings.group, kind: "ClusterRole", name: ASKING_ROLE },
      subjects: [{ kind: "ServiceAccount", name: ACCOUNT, namespace }],
    },
    cronJob: {
      ...typeOf(cronJobs),
      metadata: { name, namespace },
      spec: {
        schedule: cron,
        ...(timeZone !== undefined && { timeZone }),
        ...(suspend && { suspend }),
        // A backup that takes longer than it is to the next one: the next one waits for its time.
        concurrencyPolicy: "Forbid",
        // After an outage the last time that was missed counts, if it is no longer ago; without this, a hundred stop it for good.
        startingDeadlineSeconds: 3600,
        successfulJobsHistoryLimit: 3,
        failedJobsHistoryLimit: 3,
        jobTemplate: { spec: jobSpec(["backup", target, "$(JOB_NAME)", ...flags, ...FOLLOWS], image) },
      },
    },
  };
}

/** It is the same Operation for every pod of a Job, and its end is the Job's. A backup may take as long as it does. */
const FOLLOWS = ["--follow-existing", "--wait", "--timeout=0"];

function jobSpec(args: readonly string[], image: string): object {
  return {
    backoffLimit: 3,
    // The backup has failed: another pod would only say so again.
    podFailurePolicy: {
      rules: [{ action: "FailJob", onExitCodes: { containerName: "ask", operator: "In", values: [2, 64] } }],
    },
    template: {
      spec: {
        serviceAccountName: ACCOUNT,
        restartPolicy: "Never",
        enableServiceLinks: false,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
        containers: [
          {
            name: "ask",
            image,
            args,
            env: [
              {
                name: "JOB_NAME",
                valueFrom: { fieldRef: { fieldPath: "metadata.labels['batch.kubernetes.io/job-name']" } },
              },
            ],
            resources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { memory: "192Mi" } },
            securityContext: {
              allowPrivilegeEscalation: false,
              readOnlyRootFilesystem: true,
              capabilities: { drop: ["ALL"] },
            },
          },
        ],
      },
    },
  };
}

/** The flags of a backup again as they are typed, for the pod that asks for it. */
export function typedFlags(options: Readonly<Record<string, unknown>>): string[] {
  return givenFlags(backupFlags, options).map(({ flag, value }) => {
    const long = flagOf(flag);
    if (flag.kind === "switch") return value === true ? long : `--no-${long.slice(2)}`;
    return `${long}=${Array.isArray(value) ? value.join(",") : String(value)}`;
  });
}

/** What an admin of the namespace runs once, where the caller may not grant rights. */
export function grantCommand(namespace: string): string {
  return `kubectl create rolebinding ${ACCOUNT} -n ${namespace} --clusterrole=${ASKING_ROLE} --serviceaccount=${namespace}:${ACCOUNT}`;
}

function typeOf(resource: Resource<KubeObject>) {
  return { apiVersion: apiVersionOf(resource), kind: resource.kind };
}
