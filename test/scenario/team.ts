import { expect } from "vitest";
import type { Operation } from "../../src/api/operation.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { whileFinalizing } from "./interruptVelero.ts";
import { backupOperation, readOperation } from "./operations.ts";
import {
  annotate,
  awaitJob,
  awaitOperation,
  CANCEL,
  conditionsOf,
  messageOf,
  phaseIs,
  veleroObjectsOf,
} from "./outcome.ts";
import { VELERO_NAMESPACE, waitFor } from "./platform.ts";

/** The conditions of an Operation that was cancelled, all of them. */
export const CANCELLED = {
  Accepted: "True/TemplateValidated",
  Running: "False/CancelledByUser",
  Cancelled: "True/CancelledByUser",
};
/** The message of a cancel that left nothing to tell of. */
export const NOTHING_KEPT = "cancelled, no velero.io/Backup of this attempt is kept";

/** For what can be waited for by looking only, in milliseconds. */
export const PATIENT = { timeout: 120_000 };

/** A team that asks for backups of its namespace and changes its mind. The namespace has the sample application. */
export function teamIn(cluster: Cluster, namespace: string) {
  const apply = (name: string) => cluster.apply([backupOperation({ namespace, name })]);
  const until = (name: string, condition: string) => awaitOperation(cluster, namespace, name, condition);

  /** Asks for a backup and waits until Velero is at it. The object store has to hang, so that it stays there. */
  async function inProgress(name: string): Promise<Operation> {
    await apply(name);
    return await until(name, phaseIs("Running"));
  }

  /** Works while a backup is held in Finalizing: of the backups of the Operation `name`, the one that `which` names. */
  async function whenFinalizing<T>(
    name: string,
    which: (operation: Operation) => string,
    work: (operation: Operation) => Promise<T>,
  ): Promise<T> {
    await cluster.objectStore.pause();
    try {
      const operation = await inProgress(name);
      return await whileFinalizing(cluster, name, async () => {
        await cluster.objectStore.resume();
        const held = ["-n", VELERO_NAMESPACE, `backup.velero.io/${which(operation)}`];
        await waitFor(cluster, held, "create");
        await waitFor(cluster, held, "jsonpath={.status.phase}=Finalizing");
        return await work(operation);
      });
    } finally {
      await cluster.objectStore.resume();
    }
  }

  return {
    apply,
    until,
    inProgress,
    whenFinalizing,
    cancel: (name: string) => annotate(cluster, namespace, name, CANCEL),

    /** Cancels what Velero is at, and waits until the runner says that it has seen that. */
    async cancelSeen(name: string): Promise<void> {
      await annotate(cluster, namespace, name, CANCEL);
      const message = async () => messageOf(await readOperation(cluster, namespace, name), "Running");
      await expect.poll(message, PATIENT).toMatch(/^cancel: /);
    },

    /** Deletes an Operation, if there is one. */
    async remove(name: string): Promise<void> {
      const answer = await cluster.kubectl(["delete", `operation/${name}`, "-n", namespace, "--ignore-not-found"]);
      if (answer.code !== 0) throw new Error(answer.stderr);
    },

    /** The backup of a cancelled Operation is gone, and everything says so. */
    async expectCancelled(name: string, message = NOTHING_KEPT): Promise<void> {
      const operation = await until(name, phaseIs("Failed"));
      expect(conditionsOf(operation)).toEqual(CANCELLED);
      expect(messageOf(operation, "Cancelled")).toBe(message);
      expect(operation.status?.reason).toBe("CancelledByUser");
      await awaitJob(cluster, operation, "Failed");
      expect(await veleroObjectsOf(cluster, operation)).toEqual([]);
    },
  };
}
