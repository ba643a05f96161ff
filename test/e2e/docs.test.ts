import { execFile } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { beforeAll, expect, it } from "vitest";
import { ownCluster } from "../cluster/testCluster.ts";
import { installApplication } from "../scenario/application.ts";
import { readOperation } from "../scenario/operations.ts";
import { installPlatform, waitFor } from "../scenario/platform.ts";
import { temporaryFolder } from "../temporaryFolder.ts";

// What people copy out of the documentation does what it says: each block of kubectl commands runs as it stands, page by page. The
// commands of `kubectl operation` have a test of their own (unit/commands).
const cluster = await ownCluster();
const folder = temporaryFolder();
const TEAM = "org-myteam";

const pages = globSync(["README.md", "docs/**/*.md", "manifests/**/*.md"]).toSorted((one, other) =>
  one === "README.md" ? -1 : other === "README.md" ? 1 : one < other ? -1 : 1,
);
const blocks = pages.flatMap((page) => {
  const markdown = readFileSync(page, "utf8");
  return [...blocksIn(markdown), ...appliedIn(markdown)]
    .map((block) => block.replaceAll(/^kubectl operation .*\n/gm, ""))
    .filter((block) => block.startsWith("kubectl "))
    .map((block) => ({ page, block, name: block.trim().replaceAll("\n", "; ") }));
});

/** What a sentence or a table has the reader apply. */
function appliedIn(markdown: string): string[] {
  return Array.from(markdown.matchAll(/`(kubectl apply -[kf] [^`\s]+)`/g), ([, command = ""]) => `${command}\n`);
}

/** The indented blocks of a page, each without its indentation. */
function blocksIn(markdown: string): string[] {
  const found = markdown.matchAll(/(?<=\n\n)(?: {4}.*\n)+/g);
  return Array.from(found, ([block]) => block.replaceAll(/^ {4}/gm, ""));
}

let jobName = "";

beforeAll(async () => {
  await installPlatform(cluster, () => {});
  await installApplication(cluster, TEAM);
  for (const namespace of ["org-a", "monitoring"]) await cluster.kubectl(["create", "namespace", namespace]);
  await cluster.apply("docs/examples/backup.yaml");
  await waitFor(cluster, ["operation/shop-backup", "-n", TEAM], "jsonpath={.status.phase}=Succeeded");
  jobName = (await readOperation(cluster, TEAM, "shop-backup")).status?.runner?.jobName ?? "";
  const every = { schedule: "0 2 * * *", jobTemplate: { spec: { template: { spec: podSpec } } } };
  await cluster.apply([
    { apiVersion: "batch/v1", kind: "CronJob", metadata: { name: "shop-backup", namespace: TEAM }, spec: every },
  ]);
});

const podSpec = {
  restartPolicy: "Never",
  containers: [{ name: "backup", image: "operation-runner.test/application:1" }],
};

/** With the names of this cluster in place of those that the reader is to fill in. */
function filledIn(block: string): string {
  return (
    block
      .replaceAll(/shop-backup-[0-9a-f]{10}\b/g, jobName)
      .replaceAll(/\bNAMESPACE\b/g, TEAM)
      .replaceAll(/ NAME$/gm, " default")
      // What the reader looks for may not be there.
      .replaceAll(/ \| grep (?!-x).*$/gm, "")
  );
}

it.each(blocks)("$name ($page)", async ({ block }) => {
  const kubeconfig = path.join(folder(), "kubeconfig");
  const { stdout: flat } = await cluster.kubectl(["config", "view", "--raw", "--flatten"]);
  await writeFile(kubeconfig, flat, { mode: 0o600 });
  const context = ["config", "set-context", "--current", `--namespace=${TEAM}`];
  expect(await cluster.kubectl(context, { as: kubeconfig })).toMatchObject({ code: 0 });
  const env = {
    ...process.env,
    KUBECONFIG: kubeconfig,
    PATH: `${cluster.programs}${path.delimiter}${process.env.PATH}`,
  };
  const { error, stderr } = await bash(`set -euo pipefail\n${filledIn(block)}`, env);
  expect(error, stderr).toBeNull();
});

function bash(script: string, env: NodeJS.ProcessEnv) {
  return new Promise<{ error: Error | null; stderr: string }>((resolve) => {
    execFile("bash", ["-c", script], { env }, (error, _, stderr) => resolve({ error, stderr }));
  });
}
