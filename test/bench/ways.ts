import { setTimeout as delay } from "node:timers/promises";
import { operations } from "../../src/api/operation.ts";
import { ConditionType } from "../../src/api/reasons.ts";
import { conditionOf } from "../../src/api/status.ts";
import { backups, isVeleroTerminal } from "../../src/api/velero.ts";
import type { KubeClient } from "../../src/kube/client.ts";
import type { Manifest } from "../../src/kube/metadata.ts";
import type { Cluster, Result } from "../cluster/cluster.ts";
import { backupOperation } from "../scenario/operations.ts";
import { VELERO_NAMESPACE } from "../scenario/platform.ts";
import type { Sightings } from "./sightings.ts";

/** What the ways to a backup have in common. */
export interface Bench {
  readonly cluster: Cluster;
  readonly client: KubeClient;
  readonly sightings: Sightings;
}

/** One backup of a namespace, under a name that nobody has used. */
export interface Wish {
  readonly namespace: string;
  readonly name: string;
}

/** Longer than any quiet backup takes. */
const PATIENCE_MS = 90_000;
const patience = () => AbortSignal.timeout(PATIENCE_MS);

/** What upstream's operator waits between two looks at a Backup. */
const POLL_MS = 5_000;

/** A Backup as a person would ask Velero for it: of the namespace, with everything else left to Velero. */
export function plainBackup({ namespace, name }: Wish): Manifest {
  return {
    apiVersion: "velero.io/v1",
    kind: "Backup",
    metadata: { name, namespace: VELERO_NAMESPACE },
    spec: { includedNamespaces: [namespace] },
  };
}

/** An Operation, made over the API and watched to its end. */
export async function byOperation({ client, sightings }: Bench, wish: Wish): Promise<void> {
  await client.create(operations, backupOperation(wish));
  const operation = `${wish.namespace}/${wish.name}`;
  await sightings.until(`Operation ${operation} ended`, patience());
  if (sightings.at(`Operation ${operation} failed`) === undefined) return;
  const { status } = await client.get(operations, wish);
  throw new Error(`Operation ${operation} failed: ${conditionOf(status, ConditionType.failed)?.message}`);
}

/** A Backup of Velero's, made over the API and watched to its end. */
export async function byBackup({ client, sightings }: Bench, wish: Wish): Promise<void> {
  await client.create(backups, plainBackup(wish));
  await sightings.until(`Backup ${wish.name} ended`, patience());
  if (sightings.at(`Backup ${wish.name} failed`) !== undefined) throw new Error(`Backup ${wish.name} failed`);
}

/** Velero's own command line. */
export async function byVeleroCli({ cluster }: Bench, { namespace, name }: Wish): Promise<void> {
  succeeded(await cluster.velero(["backup", "create", name, "--include-namespaces", namespace, "--wait"]));
}

/** A Backup of Velero's by kubectl, which waits for its end. */
export async function byKubectlBackup({ cluster }: Bench, wish: Wish): Promise<void> {
  await cluster.apply([plainBackup(wish)]);
  const backup = [`backup.velero.io/${wish.name}`, "-n", VELERO_NAMESPACE];
  succeeded(await cluster.kubectl(["wait", ...backup, "--for=jsonpath={.status.phase}=Completed", "--timeout=90s"]));
}

/** An Operation by kubectl, which waits for its end. */
export async function byKubectlOperation({ cluster }: Bench, wish: Wish): Promise<void> {
  await cluster.apply([backupOperation(wish)]);
  const operation = [`operation/${wish.name}`, "-n", wish.namespace];
  succeeded(await cluster.kubectl(["wait", ...operation, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=90s"]));
}

/**
 * A fake of an operator that makes a Backup and looks at its phase every five seconds, which is what upstream's does: nobody
 * hears of the end before it has looked.
 */
export async function byFakePoller({ client }: Bench, wish: Wish): Promise<void> {
  const { metadata } = await client.create(backups, plainBackup(wish));
  for (const signal = patience(); ; ) {
    await delay(POLL_MS, undefined, { signal });
    const { status } = await client.get(backups, metadata);
    if (isVeleroTerminal(status?.phase)) return;
  }
}

function succeeded({ code, stdout, stderr }: Result): void {
  if (code !== 0) throw new Error(`${stdout}${stderr}`.trim());
}
