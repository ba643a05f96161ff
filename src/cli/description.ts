import { cancelRequested } from "../api/cancel.ts";
import { Annotation } from "../api/labels.ts";
import { humanBytes } from "../api/message.ts";
import type { Operation, Progress } from "../api/operation.ts";
import { inOrder } from "../api/order.ts";
import { ACTORS, reasonUrl, todoFor } from "../api/remedies.ts";
import type { VeleroObject } from "../api/velero.ts";
import type { Event, Job, Pod } from "../kube/resources.ts";
import { ago } from "./human.ts";
import { hasEnded, remedyFor, type Situation, situationOf, whyOf } from "./situation.ts";
import { aligned } from "./table.ts";
import { printable, type Terminal } from "./terminal.ts";

/** What lies in the platform's namespaces, as far as it may be read. Undefined: no right to see it. */
export interface PlatformView {
  /** `null`: it is not there (any more). */
  readonly velero: VeleroObject | null | undefined;
  readonly job: Job | null | undefined;
  readonly pods: readonly Pod[] | undefined;
}

export interface Described {
  readonly operation: Operation;
  /** Those of the Operation; undefined: no right to see them. */
  readonly events: readonly Event[] | undefined;
  readonly platform: PlatformView;
  readonly now: Date;
}

const MOST_ENTRIES = 5;
const MOST_EVENTS = 8;
const MOST_ATTEMPTS = 5;

/** All that a person wants to know of one Operation, on one screen. */
export function description(described: Described, style: Terminal["style"]): string[] {
  const { operation, events, platform, now } = described;
  const situation = situationOf(operation);
  const facts: [string, string | undefined][] = [
    ["Operation", `${operation.metadata.namespace}/${operation.metadata.name}`],
    ["Asks for", asksFor(operation)],
    ["Parameters", parametersOf(operation)],
    ["State", `${styled(situation, style)} for ${ago(situation.since, now)}`],
    ["Why", whyOf(situation)],
    ...adviceOf(situation, operation),
    ["Requested", requestsOf(operation, situation)],
    ["Progress", progressOf(operation.status?.progress)],
    ["Took", operation.status?.duration],
    ["Result", resultOf(operation)],
    ["Restores", restoredBackup(operation)],
    ["Velero", veleroLine(operation, platform)],
    ["Job", jobLine(operation, platform)],
    ...(platform.pods ?? []).map((pod): [string, string] => ["Pod", podLine(pod)]),
  ];
  const present = facts.filter((fact): fact is [string, string] => fact[1] !== undefined && fact[1] !== "");
  const width = Math.max(...present.map(([name]) => name.length)) + 1;
  return [
    ...present.map(([name, value]) => `${style("bold", `${name}:`.padEnd(width))} ${printable(value)}`),
    ...listedOutputs(operation, style),
    ...attemptLines(operation, style),
    ...eventLines(events, now, style),
  ];
}

function styled({ state }: Situation, style: Terminal["style"]): string {
  const isBad = state === "Failed" || state === "Cancelled";
  return style(isBad ? "red" : state === "Succeeded" ? "green" : "yellow", state);
}

function asksFor({ spec }: Operation): string {
  return `${spec?.type} of ${spec?.targetRef.name} by ${spec?.engine}`;
}

function parametersOf({ spec }: Operation): string | undefined {
  const given = Object.entries(spec?.parameters ?? {});
  return given
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
}

function adviceOf(situation: Situation, { metadata }: Operation): [string, string][] {
  const remedy = remedyFor(situation);
  if (remedy === undefined) return [];
  const todo = todoFor(remedy, metadata);
  return [
    ["Meaning", remedy.meaning],
    ["To do", remedy.who === "nobody" ? todo : `${ACTORS[remedy.who]}: ${todo}`],
    ...(remedy.who === "nobody" || situation.reason === ""
      ? []
      : [["See", reasonUrl(situation.reason)] satisfies [string, string]]),
  ];
}

/** What people have asked for by annotation and is not done yet. */
function requestsOf(operation: Operation, situation: Situation): string | undefined {
  const asked: string[] = [];
  const ended = hasEnded(situation);
  if (cancelRequested(operation) && !ended) asked.push("that it is cancelled");
  if (cancelRequested(operation) && ended) asked.push("a cancel, which keeps it from being run again");
  const token = operation.metadata.annotations?.[Annotation.rerun];
  if (token && token !== operation.status?.observedRerun && ended) asked.push("that it runs again");
  return asked.join(", and ");
}

function progressOf(progress: Progress | undefined): string | undefined {
  if (progress === undefined) return undefined;
  const { percent, itemsCompleted, itemsTotal, bytesCompleted, bytesTotal } = progress;
  const parts = [
    percent === undefined ? undefined : `${percent} %`,
    itemsTotal === undefined ? undefined : `${itemsCompleted ?? 0} of ${itemsTotal} items`,
    bytesTotal === undefined || bytesTotal === 0
      ? undefined
      : `${humanBytes(bytesCompleted ?? 0)} of ${humanBytes(bytesTotal)}`,
  ];
  return parts.filter((part) => part !== undefined).join(", ");
}

function resultOf({ spec, status }: Operation): string | undefined {
  const { outputs = {} } = status ?? {};
  const { backupName, backupItemCount, backupSizeBytes, restoreItemCount, storageLocation } = outputs;
  const size = Number(backupSizeBytes);
  if (spec?.type === "Restore") return restoreItemCount === undefined ? undefined : `${restoreItemCount} items`;
  const parts = [
    backupName === undefined ? undefined : `Backup ${backupName}`,
    backupItemCount === undefined ? undefined : `${backupItemCount} items`,
    backupSizeBytes === undefined || Number.isNaN(size) ? undefined : humanBytes(size),
    storageLocation === undefined ? undefined : `in location ${storageLocation}`,
  ];
  return parts.filter((part) => part !== undefined).join(", ");
}

function restoredBackup({ spec, status }: Operation): string | undefined {
  return spec?.type === "Restore" && status?.backupRef?.name !== undefined
    ? `Backup ${status.backupRef.name}`
    : undefined;
}

function veleroLine({ status }: Operation, { velero }: PlatformView): string | undefined {
  const { engineRef } = status ?? {};
  if (engineRef?.name === undefined) return undefined;
  const name = `${engineRef.kind} ${engineRef.namespace}/${engineRef.name}`;
  if (velero === undefined) return name;
  return velero === null ? `${name}, which is gone` : `${name}, phase ${velero.status?.phase ?? "New"}`;
}

function jobLine({ status }: Operation, { job }: PlatformView): string | undefined {
  const { runner } = status ?? {};
  if (runner?.jobName === undefined) return undefined;
  const name = `${runner.jobNamespace}/${runner.jobName}, attempt ${runner.attempt ?? 1}`;
  if (job === undefined) return name;
  if (job === null) return `${name}, which is gone`;
  const ended = job.status?.conditions?.find(
    ({ type, status: is }) => is === "True" && (type === "Complete" || type === "Failed"),
  );
  if (ended !== undefined) return `${name}, ${ended.type}${ended.reason === undefined ? "" : ` (${ended.reason})`}`;
  return `${name}, ${job.spec?.suspend === true ? "suspended" : `${job.status?.active ?? 0} active`}`;
}

function podLine({ metadata, spec, status }: Pod): string {
  const waiting = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]
    .map(({ state }) => state?.waiting ?? state?.terminated)
    .find((state) => state?.reason !== undefined);
  const why = status?.reason ?? waiting?.reason;
  const where = spec?.nodeName === undefined ? "" : ` on ${spec.nodeName}`;
  return `${metadata.name}, ${status?.phase ?? "Unknown"}${why === undefined ? "" : ` (${why})`}${where}`;
}

/** Lists among the outputs, such as warnings and skipped volumes: the first of each. */
function listedOutputs({ status }: Operation, style: Terminal["style"]): string[] {
  return Object.entries(status?.outputs ?? {}).flatMap(([name, value]) => {
    if (!Array.isArray(value) || value.length === 0) return [];
    const title = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
    const heading = `${title.charAt(0).toUpperCase()}${title.slice(1)} (${value.length}):`;
    const more = value.length - MOST_ENTRIES;
    return [
      style("bold", heading),
      ...value.slice(0, MOST_ENTRIES).map((entry) => `  ${printable(String(entry))}`),
      ...(more > 0 ? [`  and ${more} more: -o yaml has all`] : []),
    ];
  });
}

function attemptLines({ status }: Operation, style: Terminal["style"]): string[] {
  const history = status?.history ?? [];
  if (history.length === 0) return [];
  const rows = history
    .slice(-MOST_ATTEMPTS)
    .map(({ attempt, phase, reason = "", finishedAt = "", message = "" }) => [
      `  ${attempt}`,
      phase,
      reason,
      finishedAt,
      printable(message),
    ]);
  return [
    style("bold", `Earlier attempts (${history.length + (status?.historyOmitted?.attempts ?? 0)}):`),
    ...aligned(rows),
  ];
}

/** The last Events, oldest first. */
export function eventLines(events: readonly Event[] | undefined, now: Date, style: Terminal["style"]): string[] {
  if (events === undefined) return [style("dim", "Events: no right to see them")];
  if (events.length === 0) return [];
  const rows = [...events]
    .sort((one, other) => inOrder(timeOf(one), timeOf(other)) || changeOf(one) - changeOf(other))
    .slice(-MOST_EVENTS)
    .map((event) => [
      `  ${ago(timeOf(event), now)}`,
      event.type ?? "",
      event.reason ?? "",
      printable(event.message ?? ""),
    ]);
  return [style("bold", "Events:"), ...aligned(rows)];
}

/** Which came first of two in the same second. It is a number in every API server that exists; nothing depends on it. */
function changeOf({ metadata }: Event): number {
  return Number(metadata.resourceVersion) || 0;
}

function timeOf({ lastTimestamp, metadata }: Event): string {
  return lastTimestamp ?? metadata.creationTimestamp;
}
