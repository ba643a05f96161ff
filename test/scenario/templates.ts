import { parse, stringify } from "yaml";
import { z } from "zod";
import type { Cluster } from "../cluster/cluster.ts";
import { systemKubectl } from "./platform.ts";

/** The Job templates of the cluster, which are an admin's to change. */

const configMap = z.object({ data: z.record(z.string(), z.string()) });
const jobTemplate = z.looseObject({
  spec: z.looseObject({
    backoffLimit: z.number().optional(),
    activeDeadlineSeconds: z.number().optional(),
    template: z.looseObject({
      spec: z.looseObject({
        nodeSelector: z.record(z.string(), z.string()).optional(),
        volumes: z.array(z.looseObject({ name: z.string() })).optional(),
        containers: z.tuple([
          z.looseObject({
            image: z.string(),
            env: z.array(z.looseObject({ name: z.string() })),
            volumeMounts: z.array(z.looseObject({ name: z.string() })).optional(),
          }),
        ]),
      }),
    }),
  }),
});

export type JobTemplate = z.infer<typeof jobTemplate>;

/**
 * Changes every template. Restarts the dispatcher as well, so that what it makes afterwards is of the new ones for certain.
 *
 * @returns puts the templates back as they were
 */
export async function changeTemplates(
  cluster: Cluster,
  change: (template: JobTemplate) => void,
): Promise<() => Promise<void>> {
  const stdout = await systemKubectl(cluster, "get", "configmap/operation-jobs", "-o", "json");
  const { data: before } = configMap.parse(JSON.parse(stdout));
  const changed = Object.entries(before).map(([file, text]) => {
    const template = jobTemplate.parse(parse(text));
    change(template);
    return [file, stringify(template)];
  });
  await write(cluster, Object.fromEntries(changed));
  return () => write(cluster, before);
}

async function write(cluster: Cluster, data: Record<string, string>): Promise<void> {
  const dispatcher = "deployment/operation-dispatcher";
  const steps = [
    ["patch", "configmap/operation-jobs", "--type=merge", "-p", JSON.stringify({ data })],
    ["rollout", "restart", dispatcher],
    ["rollout", "status", dispatcher, "--timeout=180s"],
  ];
  for (const step of steps) await systemKubectl(cluster, ...step);
}
