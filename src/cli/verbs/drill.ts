import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import { Annotation, Label } from "../../api/labels.ts";
import { lastDrillNote } from "../../api/lastDrill.ts";
import { type Operation, operations } from "../../api/operation.ts";
import { type Backup, backups, downloadRequests, type Restore, restores } from "../../api/velero.ts";
import type { ObjectName } from "../../kube/client.ts";
import { systemClock } from "../../kube/clock.ts";
import { isConflict, isForbidden, isNotFound } from "../../kube/errors.ts";
import { EventRecorder } from "../../kube/events.ts";
import type { KubeObject } from "../../kube/metadata.ts";
import { namespaces } from "../../kube/resources.ts";
import { awaitCondition } from "../../kube/wait.ts";
import { FetchError } from "../../runner/download/fetch.ts";
import { listResults, resultsSchema } from "../../runner/outputs/results.ts";
import { timeoutOf } from "../await.ts";
import { type Context, readOperation } from "../context.ts";
import { coverageOf } from "../coverage.ts";
import { archivedObjects } from "../drill/archive.ts";
import { type Comparison, compare, type DrillPlan, missingFromArchive, planOf } from "../drill/comparison.ts";
import { type DrillReport, exitOf, reportLines, resultOf, verdict } from "../drill/report.ts";
import { makeScratch, objectsIn, removeScratch } from "../drill/scratch.ts";
import { Exit } from "../exit.ts";
import { FIELD_MANAGER } from "../mutation.ts";
import { formatted } from "../output.ts";
import { madeName } from "../requests.ts";
import { insistOn, may } from "../rights.ts";
import { readVeleroFile, resourceListSchema } from "../veleroFile.ts";

export interface DrillOptions {
  readonly from?: string;
  readonly timeout: string;
  readonly record: boolean;
  readonly output?: "json" | "yaml";
}

const ENDED: ReadonlySet<string> = new Set(["Completed", "PartiallyFailed", "Failed", "FailedValidation"]);

/** How long Velero may take to end a Restore that nobody waits for any more, in milliseconds. */
const LAST_WAIT_MS = 60_000;

const NOT_RESTORED: Comparison = { kinds: [], problems: [] };

/** `drill`: restores the newest good backup of a target into a namespace of its own, and compares. docs/cli.md#drills. */
export async function drill(target: string, options: DrillOptions, context: Context): Promise<number> {
  try {
    return await tryBackup(target, options, context);
  } catch (error) {
    if (!(error instanceof TimedOut)) throw error;
    context.terminal.err(`error: ${error.message}`);
    return Exit.timeout;
  }
}

async function tryBackup(target: string, options: DrillOptions, context: Context): Promise<number> {
  const timeoutMs = timeoutOf(options.timeout);
  const operation = await backupToTry(target, options, context);
  const backup = await backupOf(operation, context);
  const { namespace = "", name, uid } = operation.metadata;
  const scratchNamespace = madeName(`drill-${target}`, context.now(), { exact: true });
  const source = await readArchive(backup, namespace, context);
  const tried =
    source.problems.length > 0 || source.plan.compared.length === 0
      ? NOT_RESTORED
      : await restoreAndCompare(
          source.plan,
          { backup, from: namespace, into: scratchNamespace, uid, timeoutMs },
          context,
        );
  const problems = [...source.problems, ...tried.problems];
  const report: DrillReport = {
    namespace,
    target,
    operation: name,
    backup: backup.metadata.name,
    ...(tried !== NOT_RESTORED && { scratchNamespace }),
    finishedAt: context.now().toISOString(),
    result: resultOf(problems, source.plan.left, tried.kinds.length),
    kinds: tried.kinds,
    problems,
    notChecked: source.plan.left,
  };
  if (options.output === undefined) for (const line of reportLines(report)) context.terminal.out(line);
  else context.terminal.out(formatted(report, options.output));
  if (options.record) await record(operation, backup, report, context);
  return exitOf(report.result);
}

/** The Operation that made the newest good backup of the target, or the one that was named. */
async function backupToTry(target: string, { from }: DrillOptions, context: Context): Promise<Operation> {
  const { access, interrupt, now } = context;
  if (from !== undefined) {
    const named = await readOperation(context, from);
    if (named.spec?.type === "Backup" && named.spec.targetRef.name === target && named.status?.phase === "Succeeded") {
      return named;
    }
    throw new Error(`--from: operation/${named.metadata.name} is no Backup of ${target} that succeeded`);
  }
  const { namespace } = access;
  const { items } = await access.client.list(operations, { namespace }, { signal: interrupt, onMalformed: () => {} });
  const covered = coverageOf({
    operations: items,
    instances: undefined,
    hasBackup: () => undefined,
    maxAgeMs: undefined,
    now: now(),
  });
  const last = covered.find((each) => each.target === target)?.lastBackup;
  const found = items.find(({ metadata }) => metadata.name === last?.operation);
  if (found === undefined) throw new Error(`there is no backup of ${target} in namespace ${namespace} to restore from`);
  return found;
}

/** @throws Error in plain words where the caller lacks a right, or Velero has the Backup no more */
async function backupOf(operation: Operation, context: Context): Promise<Backup> {
  const { access, interrupt } = context;
  const { namespace = "", name = "", uid } = operation.status?.engineRef ?? {};
  await insistOn(
    [
      { verb: "get", resource: backups, namespace },
      { verb: "create", resource: downloadRequests, namespace },
      { verb: "create", resource: restores, namespace },
    ],
    "a drill",
    context,
  );
  if (!(await may(access, { verb: "create", resource: namespaces, namespace: undefined }, interrupt))) {
    throw new Error("a drill needs the right to create namespaces, which the platform's admin has");
  }
  const found = await access.client
    .get(backups, { namespace, name }, { signal: interrupt })
    .catch((error: unknown) => (isNotFound(error) ? undefined : Promise.reject(error)));
  if (found !== undefined && (uid === undefined || found.metadata.uid === uid)) return found;
  throw new Error(`backup/${name} of operation/${operation.metadata.name} is gone, or another one has its name`);
}

interface Held {
  readonly plan: DrillPlan;
  readonly problems: readonly string[];
}

/**
 * What the archive holds, and whether that is all that Velero says it holds.
 *
 * @throws Error where the files cannot be had, which says nothing about them
 */
async function readArchive(backup: Backup, namespace: string, context: Context): Promise<Held> {
  const { name } = backup.metadata;
  const broken = (why: string): Held => ({
    plan: { included: [], compared: [], left: [] },
    problems: [`the files of backup/${name} cannot be read: ${why}`],
  });
  context.terminal.progress(`reading backup/${name}`);
  try {
    const tar = Buffer.from(await readVeleroFile("BackupContents", backup, context), "utf8");
    const list = await readVeleroFile("BackupResourceList", backup, context);
    return await heldIn(tar, list, namespace).catch((error: unknown) => broken(messageOf(error)));
  } catch (error) {
    if (error instanceof FetchError && (error.garbled || error.absent)) return broken(error.message);
    throw error;
  } finally {
    context.terminal.progress("");
  }
}

async function heldIn(tar: Buffer, list: string, namespace: string): Promise<Held> {
  const archived = await archivedObjects(tar, namespace);
  const listed = resourceListSchema.parse(JSON.parse(list));
  return { plan: planOf(archived), problems: missingFromArchive(archived, listed, namespace) };
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

interface Trial {
  readonly backup: Backup;
  readonly from: string;
  readonly into: string;
  /** Of the Operation that made the Backup. */
  readonly uid: string;
  readonly timeoutMs: number | undefined;
}

/** Restores into a namespace that it makes and removes, whatever happens. */
async function restoreAndCompare(plan: DrillPlan, trial: Trial, context: Context): Promise<Comparison> {
  const { backup, from, into, uid } = trial;
  const { client } = context.access;
  const labels = { [Label.drill]: uid };
  const restore = { namespace: backup.metadata.namespace ?? "", name: into };
  const scratch = await makeScratch(into, labels, context);
  try {
    const spec = {
      backupName: backup.metadata.name,
      includedNamespaces: [from],
      namespaceMapping: { [from]: into },
      includedResources: plan.included,
      includeClusterResources: false,
      restorePVs: false,
      // What was restored is compared as it is; a hook would run in a pod, and there is none.
      existingResourcePolicy: "none",
    };
    await client.create(restores, { metadata: { ...restore, labels }, spec }, written(context));
    const done = await ended(restore, trial.timeoutMs, context);
    const failed = await failureOf(done, context);
    const restored = await objectsIn(into, plan.compared, context);
    const originals = await objectsIn(from, plan.compared, context).catch((error: unknown) =>
      isForbidden(error) ? undefined : Promise.reject(error),
    );
    const compared = compare(plan.compared, { restored, originals }, { from, into });
    return { kinds: compared.kinds, problems: [...failed, ...compared.problems] };
  } finally {
    context.terminal.progress("");
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
    const found = await access.client
      .get(restores, restore)
      .catch((error: unknown) => (isNotFound(error) ? undefined : Promise.reject(error)));
    const { phase = "New" } = found?.status ?? {};
    if (found !== undefined && phase !== "New" && !ENDED.has(phase)) {
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

const written = ({ interrupt }: Context) => ({ fieldManager: FIELD_MANAGER, signal: interrupt });

/** The Restore took longer than it was to. */
class TimedOut extends Error {}

/** Follows the Restore to its end. @throws TimedOut once that takes too long */
async function ended(
  restore: ObjectName,
  timeoutMs: number | undefined,
  { access, terminal, interrupt }: Context,
): Promise<Restore> {
  const late = new AbortController();
  const signal = AbortSignal.any([interrupt, late.signal]);
  const timer = timeoutMs === undefined ? undefined : delay(timeoutMs, undefined, { signal }).then(() => late.abort());
  timer?.catch(() => undefined);
  try {
    const options = { signal, logger: pino({ level: "silent" }), clock: systemClock };
    const isOver = (seen: Restore | undefined) => {
      terminal.progress(`restore/${restore.name} ${seen?.status?.phase ?? "New"}`);
      return seen === undefined || ENDED.has(seen.status?.phase ?? "");
    };
    const done = await awaitCondition(access.client, restores, restore, isOver, options);
    if (done !== undefined) return done;
    throw new Error(`restore/${restore.name} was deleted before it ended`);
  } catch (error) {
    interrupt.throwIfAborted();
    if (!late.signal.aborted) throw error;
    throw new TimedOut(`restore/${restore.name} has not ended in time`, { cause: error });
  } finally {
    late.abort();
  }
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

/** Tells it where others look: on the Operation, and by an Event. Who may not write there is told so. */
async function record(operation: Operation, backup: Backup, report: DrillReport, context: Context): Promise<void> {
  const { access, terminal } = context;
  const { namespace, name } = operation.metadata;
  const annotations = { [Annotation.lastDrill]: lastDrillNote({ at: report.finishedAt, result: report.result }) };
  try {
    await access.client.mergePatch(operations, { namespace, name }, { metadata: { annotations } }, written(context));
  } catch (error) {
    if (!isForbidden(error)) throw error;
    terminal.err(`warning: the result is not recorded: there is no right to change operation/${name}`);
    return;
  }
  const events = new EventRecorder(access.client, pino({ level: "silent" }), {
    component: FIELD_MANAGER,
    controller: "ops.vworkspace.io/kubectl-operation",
    instance: FIELD_MANAGER,
  });
  const { apiVersion, kind, metadata } = backup;
  await events.announce(operation, {
    type: report.result === "Failed" ? "Warning" : "Normal",
    reason: `Drill${report.result}`,
    action: "DrillRestore",
    related: { apiVersion, kind, namespace: metadata.namespace, name: metadata.name, uid: metadata.uid },
    message: verdict(report),
    at: report.finishedAt,
  });
}
