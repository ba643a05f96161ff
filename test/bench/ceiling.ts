import { readFile } from "node:fs/promises";
import { pino } from "pino";
import { parse } from "yaml";
import { z } from "zod";
import { isVeleroOperation, operations } from "../../src/api/operation.ts";
import { nextStatus } from "../../src/api/status.ts";
import type { KubeClient } from "../../src/kube/client.ts";
import { EventRecorder } from "../../src/kube/events.ts";
import { jobs } from "../../src/kube/resources.ts";
import { backupOperation } from "../scenario/operations.ts";
import { SYSTEM_NAMESPACE } from "../scenario/platform.ts";
import { succeeded } from "./fakeRunners.ts";
import { inParallel } from "./pool.ts";

/** Enough for some seconds. */
const OPERATIONS = 150;
/** As many as may be under way at once, as it is shipped. */
const AT_ONCE = 10;

const manifest = z.looseObject({ metadata: z.looseObject({}) });

/**
 * The writes for one Operation, by a program that decides nothing and watches nothing: its admission, its Job, the Event, and what
 * the fake runner does. No dispatcher can end more of them in a second on this machine.
 *
 * @returns Operations in a second
 */
export async function measureCeiling(client: KubeClient, namespace: string): Promise<number> {
  const template = manifest.parse(parse(await readFile("jobs/backup.yaml", "utf8")));
  const recorder = new EventRecorder(client, pino({ enabled: false }), {
    component: "bench",
    controller: "bench",
    instance: "bench",
  });
  const names = Array.from({ length: OPERATIONS }, (_, at) => `ceiling-${at}`);
  await inParallel(names, AT_ONCE, (name) => client.create(operations, backupOperation({ namespace, name })));
  const began = performance.now();
  await inParallel(names, AT_ONCE, async (name) => {
    const operation = await client.get(operations, { namespace, name });
    if (!isVeleroOperation(operation)) throw new Error(`${name} is no Backup`);
    const at = { now: new Date(), generation: operation.metadata.generation };
    const { conditions, outputs: _outputs, ...rest } = succeeded(operation);
    const admitted = nextStatus(operation.status, { ...ADMITTED }, at);
    const written = await client.replaceStatus(operations, { ...operation, status: admitted });
    const { generateName: _prefix, ...labelled } = template.metadata;
    const metadata = { ...labelled, name, namespace: SYSTEM_NAMESPACE };
    await client.create(jobs, { ...template, metadata });
    const message = `Created Job ${SYSTEM_NAMESPACE}/${name}`;
    await recorder.announce(operation, {
      type: "Normal",
      reason: "JobCreated",
      action: "CreateJob",
      message,
      at: new Date().toISOString(),
    });
    await client.replaceStatus(operations, { ...written, status: { ...written.status, ...rest, conditions } });
  });
  return OPERATIONS / ((performance.now() - began) / 1000);
}

const ADMITTED = {
  phase: "Pending",
  conditions: [
    { type: "Accepted", status: "True", reason: "TemplateValidated", message: "the Operation is valid and admitted" },
    { type: "Running", status: "False", reason: "Pending", message: "Job ceiling carries it out" },
  ],
} as const;
