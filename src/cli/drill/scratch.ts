import { HttpMethod } from "@kubernetes/client-node/dist/gen/http/http.js";
import * as z from "zod";
import { Label } from "../../api/labels.ts";
import { isNotFound } from "../../kube/errors.ts";
import { type KubeObject, kubeObjectSchema, type Manifest } from "../../kube/metadata.ts";
import { pathOf, type Resource } from "../../kube/resource.ts";
import { namespaces } from "../../kube/resources.ts";
import type { Context } from "../context.ts";
import { writeOptions } from "../mutation.ts";
import { type ArchivedObject, type JsonObject, jsonObjectSchema } from "./archive.ts";
import { keyOf } from "./comparison.ts";

/** The namespace into which a drill restores: made for it, closed, and removed. */

const resourceQuotas: Resource = {
  group: "",
  version: "v1",
  plural: "resourcequotas",
  kind: "ResourceQuota",
  namespaced: true,
  schema: kubeObjectSchema,
};
const networkPolicies: Resource = {
  group: "networking.k8s.io",
  version: "v1",
  plural: "networkpolicies",
  kind: "NetworkPolicy",
  namespaced: true,
  schema: kubeObjectSchema,
};

/** The name of what closes it. */
const DRILL = "drill";

interface Scratch {
  readonly labels: Readonly<Record<string, string>>;
  /** Pods may run in it, by the rules for the namespace `like` and within these ResourceQuotas; undefined: none may. */
  readonly run: { readonly like: string; readonly quotas: readonly ArchivedObject[] } | undefined;
}

/**
 * Makes it: it takes no volume, cannot be reached from outside nor reach out, and nothing runs in it unless that is asked for.
 *
 * @throws ApiError where one of that name exists already, or the caller lacks a right; then nothing is left behind
 */
export async function makeScratch(name: string, { labels, run }: Scratch, context: Context): Promise<KubeObject> {
  const { client } = context.access;
  const options = writeOptions(context);
  const rules = run === undefined ? {} : await rulesOf(run.like, context);
  const all = { ...rules, ...labels, [Label.excludeFromBackup]: "true" };
  const made = await client.create(namespaces, { metadata: { name, labels: all } }, options);
  try {
    const metadata = { name: DRILL, namespace: name };
    const hard = {
      ...(run === undefined && { pods: "0" }),
      persistentvolumeclaims: "0",
      "count/jobs.batch": "0",
      "services.loadbalancers": "0",
      "services.nodeports": "0",
    };
    await client.create(resourceQuotas, { metadata, spec: { hard } } satisfies Manifest, options);
    for (const { name: quota, content } of run?.quotas ?? []) {
      const own = { name: `team-${quota}`, namespace: name };
      await client.create(resourceQuotas, { metadata: own, spec: content.spec } satisfies Manifest, options);
    }
    const closed = { podSelector: {}, policyTypes: ["Ingress", "Egress"], ...(run && WITHIN) };
    await client.create(networkPolicies, { metadata, spec: closed } satisfies Manifest, options);
    return made;
  } catch (error) {
    await removeScratch(made, context);
    throw error;
  }
}

/** Pods reach each other, and names are resolved. */
const WITHIN = {
  ingress: [{ from: [{ podSelector: {} }] }],
  egress: [
    { to: [{ podSelector: {} }] },
    {
      to: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } } }],
      ports: [
        { protocol: "UDP", port: 53 },
        { protocol: "TCP", port: 53 },
      ],
    },
  ],
};

/** Ours, Velero's, the API server's own, and those by which GitOps tools find what is theirs: they would remove the copy. */
const NOT_RULES =
  /^(ops\.vworkspace\.io|velero\.io|kubernetes\.io|app\.kubernetes\.io|applyset\.kubernetes\.io|argocd\.argoproj\.io|([a-z]+\.)*fluxcd\.io)\//;

/** The labels by which the cluster's rules take a namespace, such as those of Pod Security: a copy must not be allowed more. */
async function rulesOf(namespace: string, { access, interrupt }: Context): Promise<Record<string, string>> {
  const { metadata } = await access.client.get(namespaces, { name: namespace }, { signal: interrupt });
  return Object.fromEntries(Object.entries(metadata.labels ?? {}).filter(([key]) => !NOT_RULES.test(key)));
}

/** Asks for its deletion, of this very one. Does so also once somebody has pressed Ctrl-C. */
export async function removeScratch({ metadata: { name, uid } }: KubeObject, { access }: Context): Promise<void> {
  try {
    await access.client.delete(namespaces, { name }, { preconditions: { uid } });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

const listSchema = z.looseObject({ items: z.array(jsonObjectSchema.partial({ apiVersion: true, kind: true })) });

/** What of the kinds of these objects is in it, by the key of each (comparison.ts). */
export async function objectsIn(
  namespace: string,
  compared: readonly ArchivedObject[],
  { access, interrupt }: Context,
): Promise<ReadonlyMap<string, JsonObject>> {
  const found = new Map<string, JsonObject>();
  for (const [resource, [one]] of Map.groupBy(compared, (object) => object.resource)) {
    const { apiVersion = "v1", kind = "" } = one?.content ?? {};
    const [group, version] = apiVersion.includes("/") ? apiVersion.split("/") : ["", apiVersion];
    const [plural = ""] = resource.split(".");
    const text = await access.transport.text({
      method: HttpMethod.GET,
      path: pathOf({ group: group ?? "", version: version ?? "", plural }, { namespace }),
      call: `list ${resource} ${namespace}`,
      signal: interrupt,
    });
    // In a list of a built-in kind the objects do not say what they are.
    for (const item of listSchema.parse(JSON.parse(text)).items) {
      found.set(keyOf({ resource, name: item.metadata.name }), { ...item, apiVersion, kind });
    }
  }
  return found;
}
