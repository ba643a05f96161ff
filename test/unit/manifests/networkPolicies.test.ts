import { expect, test } from "vitest";
import { z } from "zod";
import { objectsIn } from "./manifests.ts";

const policySchema = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string() }),
  spec: z.object({
    podSelector: z.object({ matchLabels: z.record(z.string(), z.string()).optional() }),
    policyTypes: z.array(z.string()),
    ingress: z.array(z.unknown()).optional(),
  }),
});
const podSchema = z.object({
  spec: z.object({
    template: z.object({
      metadata: z.object({ labels: z.record(z.string(), z.string()) }),
      spec: z.object({ containers: z.tuple([z.object({ ports: z.array(z.object({ name: z.string() })) })]) }),
    }),
  }),
});

const policiesIn = (folder: string) =>
  objectsIn(folder)
    .filter(({ kind }) => kind === "NetworkPolicy")
    .map((object) => policySchema.parse(object));

test("nothing reaches the dispatcher but namespaces that an admin has labelled for its metrics, as it is installed", () => {
  const [policy, ...others] = policiesIn("manifests/base");
  expect(others).toEqual([]);
  const [dispatcher] = objectsIn("manifests/base").filter(({ kind }) => kind === "Deployment");
  const { metadata, spec } = podSchema.parse(dispatcher).spec.template;
  expect(dispatcher?.metadata.namespace).toBe(policy?.metadata.namespace);
  expect(metadata.labels).toMatchObject(policy?.spec.podSelector.matchLabels ?? {});
  expect(policy?.spec.policyTypes).toEqual(["Ingress"]);
  expect(policy?.spec.ingress).toEqual([
    {
      from: [{ namespaceSelector: { matchLabels: { "ops.vworkspace.io/metrics": "true" } } }],
      ports: spec.containers[0].ports.map(({ name }) => ({ port: name, protocol: "TCP" })),
    },
  ]);
});

test("the component for all pods opens none of them further", () => {
  const policies = policiesIn("manifests/components/network-policy");
  expect(policies[0]?.spec).toMatchObject({ podSelector: {}, policyTypes: ["Ingress", "Egress"] });
  expect(policies.filter(({ spec }) => spec.ingress !== undefined)).toEqual([]);
});
