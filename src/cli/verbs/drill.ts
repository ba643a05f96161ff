import { type Operation, operations } from "../../api/operation.ts";
import { type Backup, backups, downloadRequests, restores } from "../../api/velero.ts";
import { namespaces } from "../../kube/resources.ts";
import { FetchError } from "../../runner/download/fetch.ts";
import { timeoutOf } from "../await.ts";
import { TimedOut } from "../awaitObject.ts";
import { backupOf, type Context, readOperation } from "../context.ts";
import { coverageOf } from "../coverage.ts";
import { archivedObjects } from "../drill/archive.ts";
import { type DrillPlan, missingFromArchive, planOf } from "../drill/comparison.ts";
import { readProbe } from "../drill/probe.ts";
import { record } from "../drill/record.ts";
import { type DrillReport, exitOf, reportLines, resultOf } from "../drill/report.ts";
import { restoreAndCompare, type Tried } from "../drill/trial.ts";
import { reachingOut } from "../drill/workloads.ts";
import { Exit, UsageError } from "../exit.ts";
import { formatted } from "../output.ts";
import { madeName } from "../requests.ts";
import { insistOn, may } from "../rights.ts";
import { readVeleroFile, resourceListSchema } from "../veleroFile.ts";

export interface DrillOptions {
  readonly from?: string;
  readonly timeout: string;
  readonly record: boolean;
  readonly run?: boolean;
  /** The file of a Pod. */
  readonly probe?: string;
  readonly output?: "json" | "yaml";
}

const NOT_RESTORED: Tried = { kinds: [], problems: [] };

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
  if (options.probe !== undefined && !options.run)
    throw new UsageError("--probe: needs --run: a probe looks at what runs");
  const run = options.run
    ? { probe: options.probe === undefined ? undefined : await readProbe(options.probe) }
    : undefined;
  const operation = await backupToTry(target, options, context);
  const backup = await readableBackup(operation, context);
  const { namespace = "", name, uid } = operation.metadata;
  const scratchNamespace = madeName(`drill-${target}`, context.now(), { exact: true });
  const source = await readArchive(backup, namespace, context);
  if (run !== undefined) insistOnRunnable(source.plan);
  const tried =
    source.problems.length > 0 || source.plan.compared.length === 0
      ? NOT_RESTORED
      : await restoreAndCompare(
          source.plan,
          { backup, from: namespace, into: scratchNamespace, uid, timeoutMs, run },
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
    ...(tried.ran && { ran: { workloads: tried.ran.ready, probe: tried.ran.probe } }),
    problems,
    notChecked: source.plan.left,
  };
  if (options.output === undefined) for (const line of reportLines(report)) context.terminal.out(line);
  else context.terminal.out(formatted(report, options.output));
  if (options.record) await record(operation, backup, report, context);
  return exitOf(report.result);
}

/** @throws Error where a second copy of what is in the backup could do harm, or could not run */
function insistOnRunnable({ compared, left }: DrillPlan): void {
  const data = left.find(({ isData }) => isData);
  const why = data && [`the backup holds ${data.count} ${data.resource}, and ${data.why}`];
  const reasons = why ?? reachingOut(compared);
  if (reasons.length > 0) throw new Error(`--run: a copy cannot run: ${reasons.join("; ")}`);
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
async function readableBackup(operation: Operation, context: Context): Promise<Backup> {
  const { access, interrupt } = context;
  const { namespace = "", name } = operation.status?.engineRef ?? {};
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
  const found = await backupOf(operation, context);
  if (found !== undefined) return found;
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
    plan: { included: [], compared: [], quotas: [], left: [] },
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
