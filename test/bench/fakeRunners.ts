import { pino } from "pino";
import { Label } from "../../src/api/labels.ts";
import { type Operation, operations } from "../../src/api/operation.ts";
import { nextStatus } from "../../src/api/status.ts";
import type { KubeClient } from "../../src/kube/client.ts";
import { systemClock } from "../../src/kube/clock.ts";
import { isConflict } from "../../src/kube/errors.ts";
import { jobs } from "../../src/kube/resources.ts";
import { watchResource } from "../../src/kube/watch.ts";
import { SYSTEM_NAMESPACE } from "../scenario/platform.ts";

/** What the fake runners have done, on this process's clock. */
export interface Played {
  /** When the first Job was seen; undefined before that. */
  firstJobAt: number | undefined;
  /** When the last Operation was ended. */
  lastEndAt: number | undefined;
  ended: number;
}

/**
 * A fake of every runner and of Velero: an Operation that gets a Job has succeeded at once. What is left to measure is the
 * dispatcher and the API server.
 *
 * @param onFirstJob told of the first Job
 * @param onEnd told of each end
 * @returns what it has done so far; it goes on until the signal aborts
 */
export function playRunners(
  client: KubeClient,
  signal: AbortSignal,
  { onFirstJob, onEnd }: { onFirstJob: () => void; onEnd: (played: Played) => void },
): Played {
  const played: Played = { firstJobAt: undefined, lastEndAt: undefined, ended: 0 };
  const options = { signal, clock: systemClock, logger: pino({ enabled: false }), namespace: SYSTEM_NAMESPACE };
  const play = async () => {
    for await (const event of watchResource(client, jobs, options)) {
      if (event.type !== "added") continue;
      const { labels = {} } = event.object.metadata;
      const { [Label.operationName]: name, [Label.operationNamespace]: namespace } = labels;
      // A Job that no dispatcher has made.
      if (name === undefined || namespace === undefined) continue;
      if (played.firstJobAt === undefined) {
        played.firstJobAt = performance.now();
        onFirstJob();
      }
      const end = async () => {
        await succeed(client, namespace, name);
        played.lastEndAt = performance.now();
        played.ended += 1;
        onEnd(played);
      };
      // The cluster may be taken down in the middle of it.
      end().catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
    }
  };
  play().catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
  return played;
}

/** Ends an Operation as its runner would. */
async function succeed(client: KubeClient, namespace: string, name: string): Promise<void> {
  for (;;) {
    const operation = await client.get(operations, { namespace, name });
    try {
      await client.replaceStatus(operations, { ...operation, status: succeeded(operation) });
      return;
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
  }
}

/** The status of an Operation whose small backup was a success. */
export function succeeded({ metadata, status }: Operation): NonNullable<Operation["status"]> {
  const change = {
    phase: "Succeeded",
    conditions: [
      { type: "Accepted", status: "True", reason: "TemplateValidated", message: "the Operation is valid and admitted" },
      {
        type: "Running",
        status: "False",
        reason: "VeleroBackupSucceeded",
        message: "velero.io/Backup completed; 14 items",
      },
      {
        type: "Succeeded",
        status: "True",
        reason: "VeleroBackupCompleted",
        message: "velero.io/Backup completed; 14 items",
      },
    ],
    engineRef: { apiVersion: "velero.io/v1", kind: "Backup", namespace: "velero", name: metadata.name },
    outputs: {
      backupName: metadata.name,
      backupItemCount: "14",
      backupSizeBytes: "5202",
      storageLocation: "default",
      warningCount: "0",
      errorCount: "0",
      warnings: [],
    },
  } as const;
  return nextStatus(status, change, { now: new Date(), generation: metadata.generation });
}
