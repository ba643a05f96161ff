import { readFile, writeFile } from "node:fs/promises";
import { stringify } from "yaml";
import { renderApiReference } from "../src/build/apiReference.ts";
import { applicationInstanceCrd, operationCrd } from "../src/build/crd.ts";
import { renderReasonsReference } from "../src/build/reasonsReference.ts";
import { renderSettingsReference } from "../src/build/settingsReference.ts";
import { IMAGE, scheduleFor, scheduleName } from "../src/cli/schedule.ts";
import { dashboardConfigMap } from "./dashboard.ts";
import { helmChart } from "./helmChart.ts";
import { snapshotCrds, veleroCrds } from "./velero/moduleCrds.ts";

/**
 * Writes the files that are made from the source, or with `--check` only tells which are out of date (exit code 1).
 * `npm run generate`, and part of `npm run check`.
 */

const generated: Record<string, () => string | Promise<string>> = {
  "manifests/crds/ops.vworkspace.io_operations.yaml": () => yaml(operationCrd()),
  "manifests/components/application-instance-crd/apps.vworkspace.io_applicationinstances.yaml": () =>
    yaml(applicationInstanceCrd()),
  "manifests/velero/crds.yaml": veleroCrds,
  "manifests/velero/snapshot-crds.yaml": snapshotCrds,
  "manifests/components/recurring/schedule.yaml": nightly,
  "manifests/components/prometheus/dashboard.yaml": () =>
    `# Generated from manifests/dashboard.ts by \`npm run generate\`; do not edit.\n${stringify(dashboardConfigMap(), { lineWidth: 0 })}`,
  "docs/api.md": renderApiReference,
  "docs/settings.md": renderSettingsReference,
  "docs/reasons.md": renderReasonsReference,
};

function yaml(object: object): string {
  return `# Generated from src/api by \`npm run generate\`; do not edit.\n${stringify(object, { lineWidth: 120 })}`;
}

/** What `kubectl operation schedule shop --cron "0 2 * * *" --ttl 720h` makes. */
function nightly(): string {
  const target = "shop";
  const { account, binding, cronJob } = scheduleFor({
    target,
    name: scheduleName(target),
    namespace: "org-myteam",
    cron: "0 2 * * *",
    suspend: false,
    image: IMAGE,
    flags: ["--ttl=720h"],
  });
  const documents = [account, binding, cronJob].map((object) => stringify(object, { lineWidth: 120 }));
  return `# Generated from src/cli/schedule.ts by \`npm run generate\`; do not edit.\n${documents.join("---\n")}`;
}

const root = new URL("..", import.meta.url);
const check = process.argv.includes("--check");
const stale: string[] = [];
for (const [path, content] of Object.entries(generated)) await update(path, await content());
// Of what the others have become.
for (const [path, content] of Object.entries(await helmChart())) await update(path, content);

if (check && stale.length > 0) {
  console.error(`out of date, run "npm run generate": ${stale.join(", ")}`);
  process.exitCode = 1;
} else {
  console.log(stale.length === 0 ? "generated files are up to date" : `written: ${stale.join(", ")}`);
}

async function update(path: string, wanted: string): Promise<void> {
  const file = new URL(path, root);
  const found = await readFile(file, "utf8").catch(() => undefined);
  if (found === wanted) return;
  stale.push(path);
  if (!check) await writeFile(file, wanted);
}
