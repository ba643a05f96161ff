import { pino } from "pino";
import { Annotation } from "../../api/labels.ts";
import { lastDrillNote } from "../../api/lastDrill.ts";
import type { Operation } from "../../api/operation.ts";
import type { Backup } from "../../api/velero.ts";
import { isForbidden } from "../../kube/errors.ts";
import { EventRecorder } from "../../kube/events.ts";
import type { Context } from "../context.ts";
import { annotated, FIELD_MANAGER } from "../mutation.ts";
import { type DrillReport, verdict } from "./report.ts";

/** Tells it where others look: on the Operation, and by an Event. Who may not write there is told so. */
export async function record(
  operation: Operation,
  backup: Backup,
  report: DrillReport,
  context: Context,
): Promise<void> {
  const { access, terminal } = context;
  const annotations = { [Annotation.lastDrill]: lastDrillNote({ at: report.finishedAt, result: report.result }) };
  try {
    await annotated(operation, annotations, { dryRun: "none" }, context);
  } catch (error) {
    if (!isForbidden(error)) throw error;
    terminal.err(
      `warning: the result is not recorded: there is no right to change operation/${operation.metadata.name}`,
    );
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
