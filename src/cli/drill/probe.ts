import { readFile } from "node:fs/promises";
import { HttpMethod } from "@kubernetes/client-node/dist/gen/http/http.js";
import { parse } from "yaml";
import * as z from "zod";
import { podHasEnded } from "../../kube/jobStatus.ts";
import type { Manifest } from "../../kube/metadata.ts";
import { pathOf } from "../../kube/resource.ts";
import { type Pod, pods } from "../../kube/resources.ts";
import { awaitObject, TimedOut } from "../awaitObject.ts";
import type { Context } from "../context.ts";
import { UsageError } from "../exit.ts";
import { writeOptions } from "../mutation.ts";

/** The probe of a drill: a pod of the team's, which looks at what runs there and ends well if it is as it should be. */

const probeSchema = z.looseObject({
  apiVersion: z.literal("v1"),
  kind: z.literal("Pod"),
  metadata: z.looseObject({}).optional(),
  spec: z.looseObject({
    restartPolicy: z.literal("Never").default("Never"),
    containers: z.array(z.looseObject({ name: z.string() })).min(1),
  }),
});

export type Probe = z.infer<typeof probeSchema>;

/** So many last lines of its log are told, where it fails. */
const LOG_LINES = 10;

/** @throws UsageError naming the field, where the file is no Pod that can be run once */
export async function readProbe(file: string): Promise<Probe> {
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw new UsageError(`--probe: ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  });
  const parsed = probeSchema.safeParse(asYaml(text));
  if (parsed.success) return parsed.data;
  const [{ path, message } = { path: [], message: "" }] = parsed.error.issues;
  throw new UsageError(`--probe: ${file} must be a Pod that runs once: ${path.join(".") || "the file"}: ${message}`);
}

function asYaml(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Runs it to its end.
 *
 * @param timeoutMs for how long it may run, in milliseconds; undefined for ever
 * @returns what was wrong, one sentence each; the first says how it ended, the others are the end of its log
 */
export async function runProbe(
  probe: Probe,
  namespace: string,
  timeoutMs: number | undefined,
  context: Context,
): Promise<string[]> {
  const target = { namespace, name: "drill-probe" };
  const manifest: Manifest = { ...probe, metadata: { ...probe.metadata, ...target } };
  await context.access.client.create(pods, manifest, writeOptions(context));
  context.terminal.progress("waiting for the probe");
  const hasEnded = (pod: Pod | undefined) => pod === undefined || podHasEnded(pod);
  try {
    const pod = await awaitObject(pods, target, hasEnded, timeoutMs, context);
    if (pod?.status?.phase === "Succeeded") return [];
    return [`the probe ${pod === undefined ? "was deleted" : "failed"}`, ...(await lastLines(probe, target, context))];
  } catch (error) {
    if (!(error instanceof TimedOut)) throw error;
    return ["the probe has not ended in time", ...(await lastLines(probe, target, context))];
  } finally {
    context.terminal.progress("");
  }
}

async function lastLines(
  { spec }: Probe,
  target: { readonly namespace: string; readonly name: string },
  { access, interrupt }: Context,
): Promise<string[]> {
  const [container] = spec.containers;
  const text = await access.transport
    .text({
      method: HttpMethod.GET,
      path: pathOf(pods, { ...target, subresource: "log" }),
      query: { container: container?.name, tailLines: LOG_LINES },
      accept: "text/plain, application/json",
      call: `read log of pods ${target.namespace}/${target.name}`,
      signal: interrupt,
    })
    .catch(() => "");
  interrupt.throwIfAborted();
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => `the probe said: ${line}`);
}
