import * as z from "zod";
import { settingsSchema } from "../src/dispatcher/settings.ts";

/**
 * The values of the Helm chart: each with its name, what it is for, what it may be, and the places in the manifests that
 * it sets. values.yaml, values.schema.json, the table in the README and the templates are all made from this list.
 */
export interface ChartValue {
  readonly name: string;
  readonly description: string;
  /** JSON Schema, draft 7. */
  readonly schema: object;
  /** Left out: what the manifests have at the first place. */
  readonly default?: unknown;
  readonly places?: readonly Place[];
}

/** Where a value goes. */
export interface Place {
  /** Kind and name of an object; after `#`, a key of a ConfigMap whose text is YAML itself. */
  readonly in: string;
  readonly path: readonly (string | number)[];
  /**
   * `replaces` what is there; `adds` entries to the list or map that is there; or is the `only` content of a key that the
   * manifests do not have, which appears when the value is not empty. A text that is not empty is there `instead`.
   */
  readonly how: "replaces" | "adds" | "only" | "instead";
  /** What is written there, a template expression; the value itself otherwise. */
  readonly expression?: string;
}

const DISPATCHER = "Deployment/operation-dispatcher";
const JOBS = ["ConfigMap/operation-jobs#backup.yaml", "ConfigMap/operation-jobs#restore.yaml"];
const SETTINGS = "ConfigMap/operation-dispatcher-settings#settings.yaml";
const WORKLOADS = [DISPATCHER, ...JOBS];
const POD = ["spec", "template", "spec"];
const CONTAINER = [...POD, "containers", 0];

const text = { type: "string" };
const flag = { type: "boolean" };
const texts = { type: "array", items: { type: "string" } };
const objects = { type: "array", items: { type: "object" } };
const map = { type: "object", additionalProperties: { type: "string" } };
const namespace = { type: "string", pattern: "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", maxLength: 63 };
const resources = {
  type: "object",
  properties: { requests: { type: "object" }, limits: { type: "object" }, claims: objects },
  additionalProperties: false,
};

const everywhere = (inside: readonly string[], path: Place["path"], how: Place["how"], expression?: string): Place[] =>
  inside.map((place) => ({ in: place, path, how, ...(expression !== undefined && { expression }) }));

/** What the dispatcher's pod and the Jobs' have in common. */
function podValues(prefix: string, who: string, inside: readonly string[]): ChartValue[] {
  const own = (name: string, description: string, schema: object, unset: unknown, path: Place["path"]): ChartValue => ({
    name: `${prefix}.${name}`,
    description: `${description} of ${who}.`,
    schema,
    default: unset,
    places: everywhere(inside, path, "only"),
  });
  return [
    {
      name: `${prefix}.resources`,
      description: `Requests and limits of ${who}.`,
      schema: resources,
      places: everywhere(inside, [...CONTAINER, "resources"], "replaces"),
    },
    {
      name: `${prefix}.env`,
      description: `Further environment of ${who}, such as HTTPS_PROXY.`,
      schema: objects,
      default: [],
      places: everywhere(inside, [...CONTAINER, "env"], "adds"),
    },
    own("nodeSelector", "Node selector", map, {}, [...POD, "nodeSelector"]),
    own("tolerations", "Tolerations", objects, [], [...POD, "tolerations"]),
    own("affinity", "Affinity", { type: "object" }, {}, [...POD, "affinity"]),
    own("priorityClassName", "PriorityClass", text, "", [...POD, "priorityClassName"]),
    own("podAnnotations", "Annotations", map, {}, ["spec", "template", "metadata", "annotations"]),
    {
      name: `${prefix}.podLabels`,
      description: `Further labels of ${who}.`,
      schema: map,
      default: {},
      places: everywhere(inside, ["spec", "template", "metadata", "labels"], "adds"),
    },
  ];
}

/** The settings that no value of its own sets. */
function settingsValue(): object {
  const { $schema, properties = {}, ...schema } = z.toJSONSchema(settingsSchema, { io: "input", target: "draft-7" });
  const { clusterId, veleroNamespace, jobNamespace, ...others } = properties;
  return { ...schema, properties: others };
}

/**
 * @param version of the image
 * @param components the opt-in parts of manifests/components, by the name of their value, with what each is
 */
export function chartValues(version: string, components: ReadonlyMap<string, string>): ChartValue[] {
  return [
    {
      name: "image.repository",
      description: "The image of the dispatcher and the runners.",
      schema: text,
      default: "ghcr.io/vworkspace-io/operation-runner",
      places: everywhere(
        WORKLOADS,
        [...CONTAINER, "image"],
        "replaces",
        'printf "%s:%s" .Values.image.repository .Values.image.tag',
      ),
    },
    {
      name: "image.tag",
      description: "Its tag; with a digest as in `0.1.0@sha256:...`.",
      schema: text,
      default: version,
    },
    {
      name: "image.pullPolicy",
      description: "When it is pulled.",
      schema: { enum: ["Always", "IfNotPresent", "Never"] },
      places: everywhere(WORKLOADS, [...CONTAINER, "imagePullPolicy"], "replaces"),
    },
    {
      name: "imagePullSecrets",
      description: "Secrets in the release's namespace with which it is pulled, as `- name: ...`.",
      schema: objects,
      default: [],
      places: everywhere(WORKLOADS, [...POD, "imagePullSecrets"], "only"),
    },
    {
      name: "jobImages",
      description:
        "Further images of which the dispatcher may make Jobs, such as an init container's in your own template. It may make them of `image` in any case.",
      schema: texts,
      default: [],
      places: [
        {
          in: "Namespace/vworkspace-system",
          path: ["metadata", "annotations", "ops.vworkspace.io/job-images"],
          how: "replaces",
          expression: 'prepend .Values.jobImages .Values.image.repository | join ", "',
        },
      ],
    },
    {
      name: "namespace.create",
      description:
        "Whether the release's namespace belongs to the release: the chart labels it for Pod Security and annotates it with the images of which Jobs may be made. It stays when the release is uninstalled. If false, you do both.",
      schema: flag,
      default: true,
    },
    {
      name: "clusterId",
      description: "This cluster's name: the setting `clusterId`, and the same in the Job templates.",
      schema: text,
      places: [
        { in: SETTINGS, path: ["clusterId"], how: "replaces" },
        ...everywhere(JOBS, [...CONTAINER, "env", "CLUSTER_ID"], "replaces"),
      ],
    },
    {
      name: "veleroNamespace",
      description:
        "The namespace of Velero, in which the dispatcher and the runners get their rights. It must exist, unless `velero.enabled`.",
      schema: namespace,
      places: [
        { in: SETTINGS, path: ["veleroNamespace"], how: "replaces" },
        ...everywhere(JOBS, [...CONTAINER, "env", "VELERO_NAMESPACE"], "replaces"),
      ],
    },
    {
      name: "settings",
      description:
        "The dispatcher's other settings, as docs/settings.md lists them. The running dispatcher takes up a change within two minutes.",
      schema: settingsValue(),
      default: {},
      places: [{ in: SETTINGS, path: [], how: "adds" }],
    },
    ...podValues("dispatcher", "the dispatcher's pod", [DISPATCHER]),
    {
      name: "dispatcher.volumes",
      description: "Further volumes of the dispatcher, such as the Secret with the key of approvals.",
      schema: objects,
      default: [],
      places: [{ in: DISPATCHER, path: [...POD, "volumes"], how: "adds" }],
    },
    {
      name: "dispatcher.volumeMounts",
      description: "Where they are mounted.",
      schema: objects,
      default: [],
      places: [{ in: DISPATCHER, path: [...CONTAINER, "volumeMounts"], how: "adds" }],
    },
    ...podValues("jobs", "the runners' pods", JOBS),
    {
      name: "jobs.labels",
      description: "Further labels of the Jobs, such as `kueue.x-k8s.io/queue-name`.",
      schema: map,
      default: {},
      places: everywhere(JOBS, ["metadata", "labels"], "adds"),
    },
    {
      name: "jobs.annotations",
      description: "Annotations of the Jobs.",
      schema: map,
      default: {},
      places: everywhere(JOBS, ["metadata", "annotations"], "only"),
    },
    {
      name: "jobs.backoffLimit",
      description: "How often a Job starts a runner again that ended with trouble which may pass.",
      schema: { type: "integer", minimum: 0 },
      places: everywhere(JOBS, ["spec", "backoffLimit"], "replaces"),
    },
    {
      name: "jobs.ttlSecondsAfterFinished",
      description: "How many seconds Kubernetes keeps a finished Job, and with it the runner's log.",
      schema: { type: "integer", minimum: 0 },
      places: everywhere(JOBS, ["spec", "ttlSecondsAfterFinished"], "replaces"),
    },
    ...JOBS.map((place) => place.replace(/.*#(.*)\.yaml/, "$1")).map((type) => ({
      name: `jobTemplates.${type}`,
      description: `A whole Job template of your own in place of the chart's (\`--set-file jobTemplates.${type}=${type}.yaml\`); the values above then have no part in it.`,
      schema: text,
      default: "",
      places: everywhere(["ConfigMap/operation-jobs"], ["data", `${type}.yaml`], "instead"),
    })),
    {
      name: "policies.enabled",
      description:
        "The admission policies. Without them tenants are not kept apart (docs/threat-model.md), and no Restore from another namespace is admitted.",
      schema: flag,
      default: true,
    },
    ...[...components].map(([name, description]) => ({
      name: `components.${name}`,
      description,
      schema: flag,
      default: false,
    })),
    {
      name: "velero.enabled",
      description: "The bundled Velero, for a cluster that has none. It still needs a BackupStorageLocation of yours.",
      schema: flag,
      default: false,
    },
    {
      name: "velero.snapshotCrds",
      description: "With the bundled Velero: the snapshot CRDs. False for a cluster that brings its own.",
      schema: flag,
      default: true,
    },
  ];
}
