import { parseArgs } from "node:util";
import { pino } from "pino";
import { type Operation, operations } from "../../src/api/operation.ts";
import { connect } from "../../src/kube/client.ts";
import { systemClock } from "../../src/kube/clock.ts";
import { awaitCondition } from "../../src/kube/wait.ts";
import { duration, printProgress } from "../cluster/progress.ts";
import { type StartedCluster, startCluster } from "../cluster/startCluster.ts";
import { contentOf, installApplication, sampleApplication } from "../scenario/application.ts";
import { backupOperation, restoreOperation } from "../scenario/operations.ts";
import { installPlatform, SYSTEM_NAMESPACE, VELERO_NAMESPACE, waitFor } from "../scenario/platform.ts";

/**
 * `npm run demo`: a real cluster comes up, one Operation backs up an application, another restores it into a renamed
 * namespace. Prints what happens as it happens. Exit code 0 only if every claim it prints held.
 */

const TEAM = "org-myteam";
const STAGING = "org-myteam-staging";
const COPY = "org-myteam-copy";

const { values: flags } = parseArgs({ options: { keep: { type: "boolean", default: false } } });
const began = performance.now();
const print = printProgress(process.stdout);
const say = (line: string) => print(`[${duration(performance.now() - began).padStart(9)}] ${line}`);

class ClaimFailed extends Error {}

function claim(holds: boolean, what: string): void {
  if (!holds) throw new ClaimFailed(`this should hold and does not: ${what}`);
  say(`ok: ${what}`);
}

/** Runs kubectl as a reader would, and shows both the command and the answer. */
async function show(cluster: StartedCluster, ...args: string[]): Promise<void> {
  print(`\n  $ kubectl ${args.join(" ")}`);
  const { stdout, stderr } = await cluster.kubectl(args);
  print(`${(stdout + stderr).trimEnd().replace(/^/gm, "  ")}\n`);
}

/** Applies an Operation, tells each change of its phase and Job, and returns it once it has ended. */
async function carryOut(
  cluster: StartedCluster,
  namespace: string,
  name: string,
  manifest: object,
): Promise<Operation> {
  const client = connect({ KUBECONFIG: cluster.kubeconfig }, { component: "demo", version: "demo" });
  await cluster.apply([manifest]);
  say(`applied Operation ${namespace}/${name}`);
  let told = "";
  const ended = await awaitCondition(
    client,
    operations,
    { namespace, name },
    (seen) => {
      const status = seen?.status;
      const running = status?.conditions?.find(({ type }) => type === "Running");
      const job = status?.runner?.jobName === undefined ? "" : `, Job ${status.runner.jobName}`;
      const line = `  ${name}: ${status?.phase ?? "new"}${running ? ` (${running.reason}: ${running.message})` : ""}${job}`;
      if (line !== told) say(line);
      told = line;
      return status?.phase === "Succeeded" || status?.phase === "Failed";
    },
    { signal: AbortSignal.timeout(180_000), logger: pino({ enabled: false }), clock: systemClock },
  );
  if (ended === undefined) throw new ClaimFailed(`Operation ${namespace}/${name} ended, it is gone`);
  return ended;
}

async function demonstrate(cluster: StartedCluster): Promise<void> {
  await installPlatform(cluster, say);

  await installApplication(cluster, TEAM);
  say(`sample application "shop" runs in ${TEAM}: ${sampleApplication(TEAM).length} objects`);

  const backup = await carryOut(
    cluster,
    TEAM,
    "shop-backup",
    backupOperation({ namespace: TEAM, name: "shop-backup" }),
  );
  await waitFor(cluster, ["operation/shop-backup", "-n", TEAM], "jsonpath={.status.phase}=Succeeded");
  await show(cluster, "get", "operations", "-n", TEAM);
  await waitFor(cluster, ["jobs", "-n", SYSTEM_NAMESPACE, "--all"], "condition=Complete");
  await show(cluster, "get", "jobs", "-n", SYSTEM_NAMESPACE);
  await show(cluster, "get", "operation", "shop-backup", "-n", TEAM, "-o", "jsonpath-as-json={.status}");
  claim(backup.status?.phase === "Succeeded", "the backup succeeded");

  await cluster.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: STAGING } }]);
  const request = { namespace: STAGING, name: "shop-restore" };
  const backupName = String(backup.status?.outputs?.backupName);
  const parameters = { backupName, namespaceMapping: { [TEAM]: STAGING } };
  const restore = await carryOut(cluster, STAGING, "shop-restore", restoreOperation({ ...request, parameters }));
  await show(cluster, "get", "operations", "-n", STAGING, "-o", "wide");
  await show(cluster, "get", "configmaps,secrets,deployments,applicationinstances", "-n", STAGING);
  claim(restore.status?.phase === "Succeeded", `the restore into ${STAGING}, which was empty, succeeded`);
  await waitFor(cluster, ["deployment/shop", "-n", STAGING], "condition=Available");
  claim(
    (await contentOf(cluster, STAGING)).join("\n") === (await contentOf(cluster, TEAM)).join("\n"),
    `${STAGING} holds the same objects with the same content as ${TEAM}, and the application runs there`,
  );

  await demonstrateRestoredCopy(cluster, backupName);
}

/** A namespace's backup contains its Operations. Ours leaves them out of a restore; a person with Velero's CLI may not. */
async function demonstrateRestoredCopy(cluster: StartedCluster, backupName: string): Promise<void> {
  say(`now a person restores the same backup with plain Velero, old Operation included, into ${COPY}`);
  const jobsBefore = await jobCount(cluster);
  const spec = { backupName, includedNamespaces: [TEAM], namespaceMapping: { [TEAM]: COPY } };
  await cluster.apply([
    { apiVersion: "velero.io/v1", kind: "Restore", metadata: { name: "by-hand", namespace: VELERO_NAMESPACE }, spec },
  ]);
  await waitFor(cluster, ["restore/by-hand", "-n", VELERO_NAMESPACE], "jsonpath={.status.phase}=Completed");
  await waitFor(cluster, ["operation/shop-backup", "-n", COPY], "jsonpath={.status.reason}=RestoredCopy");
  await show(cluster, "get", "operations", "-n", COPY, "-o", "wide");
  claim((await jobCount(cluster)) === jobsBefore, "the restored copy of the old Operation did not run again");
}

async function jobCount(cluster: StartedCluster): Promise<number> {
  const { stdout } = await cluster.kubectl(["get", "jobs", "-n", SYSTEM_NAMESPACE, "-o", "name"]);
  return stdout.split("\n").filter((line) => line !== "").length;
}

function whatNext(cluster: StartedCluster): void {
  print(`
The cluster stays up. Try:

  export KUBECONFIG=${cluster.kubeconfig} PATH=${cluster.programs}:$PATH
  kubectl get operations -A -o wide
  kubectl get jobs -n ${SYSTEM_NAMESPACE}
  kubectl logs -n ${SYSTEM_NAMESPACE} -l ops.vworkspace.io/operation-name=shop-backup
  velero backup describe shop-backup --details

Take it down with: npm run cluster -- down`);
}

const cluster = await startCluster({ tier: "full", env: process.env, progress: say, keep: flags.keep });
try {
  await demonstrate(cluster);
  say("done: everything above was done by real components, and every claim held");
  if (flags.keep) whatNext(cluster);
} catch (error) {
  say(`failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  if (!flags.keep) {
    say("taking the cluster down");
    await cluster.down();
  }
}
