import type { Connection } from "./embedded/connection.ts";
import type { StartOptions } from "./embedded/driver.ts";
import { endKeptCluster, keptCluster, startKeptCluster } from "./embedded/kept.ts";
import { deleteKind, type KindOptions, runningKind } from "./kind/kind.ts";
import type { SharedConnection } from "./shared/connection.ts";
import { startShared } from "./shared/startShared.ts";

/** What the command line tells of a cluster. */
export interface KeptCluster {
  readonly kubeconfig: string;
  readonly programs: string;
  readonly folder: string;
  /** For people. */
  readonly facts: readonly (readonly [string, string])[];
  /** For programs. */
  readonly summary: object;
}

/** The one cluster of a driver that outlives the command that started it. */
export interface Kept {
  /** Starts it, if it is not up. */
  up(): Promise<KeptCluster>;
  find(): Promise<KeptCluster | undefined>;
  /** Answers false when there is none. */
  down(): Promise<boolean>;
}

/** Of control plane, process node and object store, as processes of this machine. */
export function keptEmbedded(options: Omit<StartOptions, "keep">): Kept {
  const { env } = options;
  return {
    up: async () => describeEmbedded((await keptCluster(env)) ?? (await startKeptCluster(options))),
    async find() {
      const connection = await keptCluster(env);
      return connection && describeEmbedded(connection);
    },
    down: () => endKeptCluster(env),
  };
}

/** Of containers, with the images loaded and an object store. */
export function keptKind(options: KindOptions): Kept {
  return {
    up: async () => describeKind(await startShared({ driver: "kind" }, options)),
    async find() {
      const connection = await runningKind(options);
      return connection && describeKind(connection);
    },
    async down() {
      const found = await runningKind(options);
      await deleteKind(options);
      return found !== undefined;
    },
  };
}

function describeEmbedded({ tier, kubeconfig, programs, logs, folder, host, bucket }: Connection): KeptCluster {
  return {
    kubeconfig,
    programs,
    folder,
    facts: [
      ["Cluster", tier === "full" ? "up: control plane, node, object store" : "up: control plane"],
      ["Kubeconfig", kubeconfig],
      ["Programs", programs],
      ["Logs", logs],
      ...(bucket === undefined ? [] : [["S3", `${bucket.endpoint}, bucket ${bucket.name}`] as const]),
    ],
    summary: { running: true, tier, kubeconfig, programs, logs, folder, pid: host.pid, objectStore: bucket?.endpoint },
  };
}

function describeKind({ kubeconfig, programs, folder }: SharedConnection): KeptCluster {
  return {
    kubeconfig,
    programs,
    folder,
    facts: [
      ["Cluster", "up: kind"],
      ["Kubeconfig", kubeconfig],
      ["Programs", programs],
    ],
    summary: { running: true, driver: "kind", kubeconfig, programs, folder },
  };
}
