import { type ApplicationInstance, applicationInstances } from "../../api/applicationInstance.ts";
import { parseGoDuration } from "../../api/duration.ts";
import { Label } from "../../api/labels.ts";
import { humanBytes } from "../../api/message.ts";
import { type Operation, operations } from "../../api/operation.ts";
import { backups } from "../../api/velero.ts";
import { isNoSuchKind } from "../../kube/errors.ts";
import type { Context } from "../context.ts";
import { backupKey, coverageOf, summaryOf, type TargetCoverage } from "../coverage.ts";
import { coveragePage } from "../coveragePage.ts";
import { Exit, UsageError } from "../exit.ts";
import { age, ago } from "../human.ts";
import { formatted } from "../output.ts";
import { may } from "../rights.ts";
import { aligned } from "../table.ts";
import { printable } from "../terminal.ts";

export interface StatusOptions {
  readonly allNamespaces?: boolean;
  readonly maxAge?: string;
  readonly output: "table" | "json" | "yaml" | "html";
}

const UNSEEN = "no right to see ApplicationInstances: what was never asked to be backed up is not in this list";

/** Tells of every target whether it is backed up, and since when it is not. */
export async function status(options: StatusOptions, context: Context): Promise<number> {
  const { access, terminal, interrupt, now } = context;
  const maxAgeMs = options.maxAge === undefined ? undefined : durationOf(options.maxAge);
  const namespace = options.allNamespaces ? undefined : access.namespace;
  const [{ items }, instances] = await Promise.all([
    access.client.list(operations, { namespace }, { signal: interrupt, onMalformed: warn(context) }),
    instancesIn(namespace, context),
  ]);
  const hasBackup = await backupsOf(items, context);
  const at = now();
  const targets = coverageOf({ operations: items, instances, hasBackup, maxAgeMs, now: at });
  const summary = summaryOf(targets);
  const notes = instances === undefined ? [UNSEEN] : [];
  if (options.output === "html") {
    const scope = namespace === undefined ? "all namespaces" : `namespace ${namespace}`;
    terminal.out(coveragePage(targets, { now: at, maxAge: options.maxAge, scope, notes }));
  } else {
    for (const note of notes) terminal.err(`note: ${note}`);
    const shown = { namespaces: namespace === undefined, now: at };
    if (options.output === "table") for (const line of lines(targets, shown)) terminal.out(line);
    else terminal.out(formatted({ now: at.toISOString(), summary, targets }, options.output));
  }
  const isOverdue = summary.overdue > 0 || summary.never > 0;
  return maxAgeMs !== undefined && isOverdue ? Exit.unsuccessful : Exit.done;
}

function lines(targets: readonly TargetCoverage[], { namespaces, now }: { namespaces: boolean; now: Date }): string[] {
  if (targets.length === 0) return ["No targets found."];
  const rows = targets.map(({ namespace, target, flaws, lastBackup, lastRestore, since }) => [
    ...(namespaces ? [namespace] : []),
    target,
    flaws.join(",") || "Ok",
    since === undefined ? "<none>" : ago(since, now),
    lastBackup?.operation ?? "<none>",
    lastBackup?.sizeBytes === undefined ? "<none>" : humanBytes(lastBackup.sizeBytes).replace(" ", ""),
    lastBackup === undefined ? "<none>" : age(lastBackup.seconds * 1000),
    lastRestore === undefined ? "<none>" : `${lastRestore.state}/${ago(lastRestore.finishedAt, now)}`,
    lastBackup === undefined ? "<none>" : ago(lastBackup.finishedAt, now),
  ]);
  const header = ["NAME", "STATE", "SINCE", "LAST-BACKUP", "SIZE", "DURATION", "LAST-RESTORE", "AGE"];
  const table = [[...(namespaces ? ["NAMESPACE"] : []), ...header], ...rows];
  return aligned(table.map((row) => row.map(printable)));
}

function durationOf(text: string): number {
  const nanoseconds = parseGoDuration(text);
  if (nanoseconds === undefined || nanoseconds <= 0n) {
    throw new UsageError(`--max-age: "${text}" must be a duration greater than 0, such as "24h"`);
  }
  return Number(nanoseconds / 1_000_000n);
}

function warn({ terminal }: Context) {
  return (error: Error) => terminal.err(`warning: left out: ${printable(error.message)}`);
}

/** @returns undefined where there is no right to see them; none in a cluster without that kind */
async function instancesIn(
  namespace: string | undefined,
  context: Context,
): Promise<readonly ApplicationInstance[] | undefined> {
  const { access, interrupt } = context;
  if (!(await may(access, { verb: "list", resource: applicationInstances, namespace }, interrupt))) return undefined;
  try {
    return (await access.client.list(applicationInstances, { namespace }, { signal: interrupt })).items;
  } catch (error) {
    if (isNoSuchKind(error)) return [];
    throw error;
  }
}

/** Whether Velero still has an Operation's Backup, where its namespace may be looked into. */
async function backupsOf(
  all: readonly Operation[],
  { access, interrupt }: Context,
): Promise<(operation: Operation) => boolean | undefined> {
  const namespaces = new Set(all.flatMap(({ status: told }) => told?.engineRef?.namespace ?? []));
  const found = new Map<string, Set<string>>();
  for (const namespace of namespaces) {
    if (!(await may(access, { verb: "list", resource: backups, namespace }, interrupt))) continue;
    const { items } = await access.client.list(backups, { namespace }, { signal: interrupt });
    const keys = items.map(({ metadata: { name, labels = {} } }) =>
      [namespace, name, labels[Label.operation], labels[Label.attempt]].join("/"),
    );
    found.set(namespace, new Set(keys));
  }
  return (operation) => {
    const key = backupKey(operation);
    const known = found.get(operation.status?.engineRef?.namespace ?? "");
    return key === undefined || known === undefined ? undefined : known.has(key);
  };
}
