import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { z } from "zod";
import { ensurePrograms } from "../../cluster/toolchain/toolchain.ts";
import { objectsIn, repository } from "./manifests.ts";

const RULES = z.object({
  spec: z.object({
    groups: z.tuple([
      z.object({
        name: z.string(),
        rules: z.array(
          z.object({
            alert: z.string(),
            expr: z.string(),
            for: z.string(),
            labels: z.object({ severity: z.enum(["critical", "warning", "info"]) }),
            annotations: z.object({ summary: z.string(), description: z.string(), runbook_url: z.string() }),
          }),
        ),
      }),
    ]),
  }),
});
const [group] = RULES.parse(objectsIn("manifests/components/prometheus").find(({ kind }) => kind === "PrometheusRule"))
  .spec.groups;

let promtool: string;
let folder: string;

beforeAll(async () => {
  ({ promtool } = await ensurePrograms(["promtool"], { env: process.env, progress: console.error }));
  folder = await mkdtemp(path.join(os.tmpdir(), "alerts-"));
  // What is written for people is checked below; here it would have to be repeated word by word.
  const bare = { ...group, rules: group.rules.map(({ annotations: _words, ...rule }) => rule) };
  await writeFile(path.join(folder, "rules.yaml"), stringify({ groups: [bare] }));
}, 1_200_000);
afterAll(() => rm(folder, { recursive: true }));

/** Series by name, without their prefix, each with promtool's shorthand for its values, one a minute. Time begins at 0. */
type Series = Readonly<Record<string, string>>;

/** Has promtool say whether exactly these alerts of that name fire then, each by its labels. */
async function expectAlerts(alert: string, series: Series, eval_time: string, fire: Record<string, string>[]) {
  const severity = group.rules.find((rule) => rule.alert === alert)?.labels.severity;
  const file = path.join(folder, "test.yaml");
  const unit = {
    rule_files: ["rules.yaml"],
    evaluation_interval: "1m",
    tests: [
      {
        interval: "1m",
        input_series: Object.entries(series).map(([name, values]) => ({ series: `operation_runner_${name}`, values })),
        alert_rule_test: [
          { alertname: alert, eval_time, exp_alerts: fire.map((labels) => ({ exp_labels: { severity, ...labels } })) },
        ],
      },
    ],
  };
  await writeFile(file, stringify(unit));
  const { stdout } = await promisify(execFile)(promtool, ["test", "rules", file]).catch((error: unknown) => {
    throw new Error(`${JSON.stringify(error)}`);
  });
  expect(stdout).toContain("SUCCESS");
}

const A_DAY = 24 * 60;
const lasting = (value: number | string, minutes = 4 * A_DAY) => `${value}x${minutes}`;
const own = '{namespace="org-a",type="Backup",pod="one"}';
const ofOwn = { namespace: "org-a", type: "Backup" };

interface Case {
  readonly alert: string;
  readonly what: string;
  readonly series: Series;
  readonly at: string;
  readonly fires: Record<string, string>[];
}

const CASES: readonly Case[] = [
  { alert: "Down", what: "a scrape that is lost", series: { leader: "1x5 _x60" }, at: "20m", fires: [{}] },
  { alert: "Down", what: "a dispatcher that is scraped", series: { leader: lasting(1) }, at: "20m", fires: [] },
  { alert: "NotLeading", what: "a standby alone", series: { 'leader{pod="a"}': lasting(0) }, at: "20m", fires: [{}] },
  {
    alert: "NotLeading",
    what: "a leader beside a standby",
    series: { 'leader{pod="a"}': lasting(0), 'leader{pod="b"}': lasting(1) },
    at: "20m",
    fires: [],
  },
  {
    alert: "TemplateInvalid",
    what: "one of two templates",
    series: { 'template_valid{type="Backup"}': lasting(0), 'template_valid{type="Restore"}': lasting(1) },
    at: "20m",
    fires: [{ type: "Backup" }],
  },
  {
    alert: "TemplateInvalid",
    what: "one that was mended",
    series: { 'template_valid{type="Backup"}': "0x10 1x60" },
    at: "30m",
    fires: [],
  },
  { alert: "SettingsInvalid", what: "settings", series: { settings_valid: lasting(0) }, at: "20m", fires: [{}] },
  { alert: "SettingsInvalid", what: "good settings", series: { settings_valid: "0x10 1x60" }, at: "30m", fires: [] },
  {
    alert: "ProtectionIncomplete",
    what: "a policy that is gone",
    series: { protection_complete: lasting(0) },
    at: "20m",
    fires: [{}],
  },
  {
    alert: "ProtectionIncomplete",
    what: "all policies",
    series: { protection_complete: lasting(1) },
    at: "20m",
    fires: [],
  },
  {
    alert: "StorageLocationUnavailable",
    what: "one of two locations",
    series: {
      'storage_location_available{location="here"}': lasting(1),
      'storage_location_available{location="there"}': lasting(0),
    },
    at: "20m",
    fires: [{ location: "there" }],
  },
  {
    alert: "StorageLocationUnavailable",
    what: "one that came back",
    series: { 'storage_location_available{location="there"}': "0x15 1x60" },
    at: "30m",
    fires: [],
  },
  {
    alert: "Failing",
    what: "the first failure of all",
    series: { [`failing_since_timestamp_seconds${own}`]: "_x5 300x60" },
    at: "20m",
    fires: [ofOwn],
  },
  {
    alert: "Failing",
    what: "a failure that goes on while the dispatcher's pod is replaced",
    series: {
      [`failing_since_timestamp_seconds${own}`]: "300x5 stale",
      [`failing_since_timestamp_seconds${own.replace("one", "two")}`]: "_x5 300x60",
    },
    at: "20m",
    fires: [ofOwn],
  },
  {
    alert: "Failing",
    what: "one that has succeeded since, or whose namespace was deleted",
    series: { [`failing_since_timestamp_seconds${own}`]: "60x10 stale" },
    at: "20m",
    fires: [],
  },
  {
    alert: "Degraded",
    what: "a last success that is degraded",
    series: { [`degraded_since_timestamp_seconds${own}`]: lasting(300) },
    at: "20m",
    fires: [ofOwn],
  },
  {
    alert: "Degraded",
    what: "one that was good again, or whose namespace was deleted",
    series: { [`degraded_since_timestamp_seconds${own}`]: "300x10 stale" },
    at: "20m",
    fires: [],
  },
  {
    alert: "NoRecentBackup",
    what: "a day and more without a success",
    series: { 'oldest_backup_timestamp_seconds{namespace="org-a"}': lasting(60) },
    at: "27h",
    fires: [{ namespace: "org-a" }],
  },
  {
    alert: "NoRecentBackup",
    what: "one that has succeeded again",
    series: { 'oldest_backup_timestamp_seconds{namespace="org-a"}': `60x${27 * 60} 97000x${A_DAY}` },
    at: "28h",
    fires: [],
  },
  {
    alert: "DrillFailed",
    what: "a first drill that failed, or one after another that passed",
    series: {
      'last_drill_timestamp_seconds{namespace="org-a",result="failed"}': lasting(600),
      'last_drill_timestamp_seconds{namespace="org-b",result="failed"}': lasting(600),
      'last_drill_timestamp_seconds{namespace="org-b",result="passed"}': lasting(300),
    },
    at: "20m",
    fires: [{ namespace: "org-a" }, { namespace: "org-b" }],
  },
  {
    alert: "DrillFailed",
    what: "one that passed after it, or whose namespace was deleted",
    series: {
      'last_drill_timestamp_seconds{namespace="org-a",result="failed"}': lasting(600),
      'last_drill_timestamp_seconds{namespace="org-a",result="passed"}': "_x15 900x60",
      'last_drill_timestamp_seconds{namespace="org-b",result="failed"}': "600x10 stale",
    },
    at: "20m",
    fires: [],
  },
  {
    alert: "NeverBackedUp",
    what: "an application of two days",
    series: { 'never_backed_up_since_timestamp_seconds{namespace="org-a"}': lasting(60) },
    at: "49h",
    fires: [{ namespace: "org-a" }],
  },
  {
    alert: "NeverBackedUp",
    what: "a new application",
    series: { 'never_backed_up_since_timestamp_seconds{namespace="org-a"}': lasting(60) },
    at: "40h",
    fires: [],
  },
  {
    alert: "Stuck",
    what: "an Operation that does not end",
    series: { 'oldest_active_timestamp_seconds{type="Backup"}': lasting(60) },
    at: "7h",
    fires: [{ type: "Backup" }],
  },
  {
    alert: "Stuck",
    what: "Operations one after the other",
    series: { 'oldest_active_timestamp_seconds{type="Backup"}': "60+60x600" },
    at: "7h",
    fires: [],
  },
  {
    alert: "QueueTooOld",
    what: "an Operation that waits for hours",
    series: { 'oldest_queued_timestamp_seconds{type="Backup"}': lasting(60) },
    at: "3h",
    fires: [{ type: "Backup" }],
  },
  {
    alert: "QueueTooOld",
    what: "a line that moves",
    series: { 'oldest_queued_timestamp_seconds{type="Backup"}': "60+60x600" },
    at: "3h",
    fires: [],
  },
];

test.each(CASES.map((each) => [`${each.alert}: ${each.what}`, each] as const))("%s", async (_, each) => {
  await expectAlerts(`OperationRunner${each.alert}`, each.series, each.at, each.fires);
});

test("every alert is seen to fire, and to be silent", () => {
  const seen = (fires: boolean) =>
    new Set(CASES.filter((each) => each.fires.length > 0 === fires).map(({ alert }) => `OperationRunner${alert}`));
  const all = new Set(group.rules.map(({ alert }) => alert));
  expect(seen(true)).toEqual(all);
  expect(seen(false)).toEqual(all);
});

describe("what an alert says", () => {
  test("is what Prometheus can read", async () => {
    const file = path.join(folder, "whole.yaml");
    await writeFile(file, stringify({ groups: [group] }));
    const { stdout } = await promisify(execFile)(promtool, ["check", "rules", "--lint-fatal", file]);
    expect(stdout).toContain(`${group.rules.length} rules found`);
  });

  test.each(group.rules.map((rule) => [rule.alert, rule] as const))(
    "%s has an entry in the runbook",
    async (_, rule) => {
      const runbook = await readFile(path.join(repository, "docs/runbook.md"), "utf8");
      expect(runbook).toContain(`### ${rule.alert}\n`);
      expect(rule.annotations.runbook_url).toMatch(new RegExp(`/docs/runbook\\.md#${rule.alert.toLowerCase()}$`));
    },
  );
});
