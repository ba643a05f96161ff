import { Label } from "../../api/labels.ts";
import { type Backup, isVeleroTerminal, type Restore, restores } from "../../api/velero.ts";
import type { ObjectName } from "../../kube/client.ts";
import { isConflict, isForbidden, isNotFound } from "../../kube/errors.ts";
import { findObject } from "../../kube/find.ts";
import type { KubeObject } from "../../kube/metadata.ts";
import { listResults, resultsSchema } from "../../runner/outputs/results.ts";
import { awaitObject, TimedOut } from "../awaitObject.ts";
import type { Context } from "../context.ts";
import { writeOptions } from "../mutation.ts";
import { readVeleroFile } from "../veleroFile.ts";
import { type Comparison, compare, type DrillPlan } from "./comparison.ts";
import type { Probe } from "./probe.ts";
import { type Ran, runRestored } from "./run.ts";
import { makeScratch, objectsIn, removeScratch } from "./scratch.ts";

/** How long Velero may take to end a Restore that nobody waits for any more, in milliseconds. */
const LAST_WAIT_MS = 60_000;

export interface Trial {
  readonly backup: Backup;
  readonly from: string;
  readonly into: string;
  /** Of the Operation that made the Backup. */
  readonly uid: string;
  /** For how long to wait for each thing that takes time, in milliseconds; undefined for ever. */
  readonly timeoutMs: number | undefined;
  /** What is to run; undefined: nothing. */
  readonly run: { readonly probe: Probe | undefined } | undefined;
}

export interface Tried extends Comparison {
  readonly ran?: Ran;
}

/** Restores into a namespace that it makes and removes, whatever happens. */
export async function restoreAndCompare(plan: DrillPlan, trial: Trial, context: Context): Promise<Tried> {
  const { backup, from, into, uid, timeoutMs, run } = trial;
  const { client } = context.access;
  const labels = { [Label.drill]: uid };
  const restore = { namespace: backup.metadata.namespace ?? "", name: into };
  const scratch = await makeScratch(into, { labels, run: run && { like: from, quotas: plan.quotas } }, context);
  try {
    const spec = {
      backupName: backup.metadata.name,
      includedNamespaces: [from],
      namespaceMapping: { [from]: into },
      includedResources: plan.included,
      includeClusterResources: false,
      restorePVs: false,
      existingResourcePolicy: "none",
    };
    await client.create(restores, { metadata: { ...restore, labels }, spec }, writeOptions(context));
    const done = await ended(restore, timeoutMs, context);
    const failed = await failureOf(done, context);
    const restored = await objectsIn(into, plan.compared, context);
    const originals = await objectsIn(from, plan.compared, context).catch((error: unknown) =>
      isForbidden(error) ? undefined : Promise.reject(error),
    );
    const compared = compare(plan.compared, { restored, originals }, { from, into });
    const ran = run && (await runRestored(plan.compared, { into, timeoutMs, probe: run.probe }, context));
    const problems = [...failed, ...compared.problems, ...(ran?.problems ?? [])];
    return { kinds: compared.kinds, problems, ...(ran && { ran }) };
  } finally {
    await removeTrial(scratch, restore, context);
  }
}

/**
 * Removes the namespace and the Restore. Not while Velero is at work on it: it would make the namespace anew, and without what
 * closes it. Does so also once somebody has pressed Ctrl-C.
 */
async function removeTrial(scratch: KubeObject, restore: ObjectName, context: Context): Promise<void> {
  const { access, terminal } = context;
  for (;;) {
    const found = await findObject(access.client, restores, restore);
    const { phase = "New" } = found?.status ?? {};
    if (found !== undefined && phase !== "New" && !isVeleroTerminal(phase)) {
      terminal.progress(`waiting for the end of restore/${restore.name}, to remove it`);
      const isOver = await ended(restore, LAST_WAIT_MS, { ...context, interrupt: new AbortController().signal })
        .then(() => true)
        .catch(() => false);
      if (isOver) continue;
      const [namespace, name] = [`namespace/${scratch.metadata.name}`, `restores.velero.io/${restore.name}`];
      terminal.err(
        `warning: Velero is still at work on restore/${restore.name}; once it has ended, remove what is left: kubectl delete ${namespace} && kubectl delete ${name} -n ${restore.namespace}`,
      );
      return;
    }
    try {
      if (found !== undefined) {
        const { uid, resourceVersion } = found.metadata;
        await access.client.delete(restores, restore, { preconditions: { uid, resourceVersion } });
      }
      return await removeScratch(scratch, context);
    } catch (error) {
      // Velero has begun meanwhile, or ended, or somebody else has removed it.
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
  }
}

/** Follows the Restore to its end. @throws TimedOut once that takes too long */
async function ended(restore: ObjectName, timeoutMs: number | undefined, context: Context): Promise<Restore> {
  const isOver = (seen: Restore | undefined) => {
    context.terminal.progress(`restore/${restore.name} ${seen?.status?.phase ?? "New"}`);
    return seen === undefined || isVeleroTerminal(seen.status?.phase);
  };
  try {
    const done = await awaitObject(restores, restore, isOver, timeoutMs, context);
    if (done !== undefined) return done;
  } catch (error) {
    if (!(error instanceof TimedOut)) throw error;
    throw new TimedOut(`restore/${restore.name} has not ended in time`, { cause: error });
  } finally {
    context.terminal.progress("");
  }
  throw new Error(`restore/${restore.name} was deleted before it ended`);
}

/** Why the Restore did not complete, in Velero's words. */
async function failureOf(restore: Restore, context: Context): Promise<string[]> {
  const { phase = "", validationErrors, failureReason } = restore.status ?? {};
  if (phase === "Completed") return [];
  const told = [...(validationErrors ?? []), ...(failureReason === undefined ? [] : [failureReason])];
  if (told.length > 0) return told.map((why) => `the restore ended ${phase}: ${why}`);
  const results = await readVeleroFile("RestoreResults", restore, context).catch(() => "{}");
  const errors = listResults(resultsSchema.parse(JSON.parse(results)), { withErrors: true });
  return [`the restore ended ${phase}`, ...errors.filter((line) => line.startsWith("error: "))];
}
