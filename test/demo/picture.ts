import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { PANELS, type Panel } from "../../manifests/dashboard.ts";
import { printProgress } from "../cluster/progress.ts";
import { type StartedCluster, startCluster } from "../cluster/startCluster.ts";
import { ensurePrograms } from "../cluster/toolchain/toolchain.ts";
import { runCli } from "../integration/cli/runCli.ts";
import { installApplication } from "../scenario/application.ts";
import { installPlatform, systemKubectl } from "../scenario/platform.ts";
import { type Prometheus, type Series, startPrometheus } from "../scenario/prometheus.ts";
import { drawDashboard, type PanelData } from "./drawDashboard.ts";

/**
 * `npm run picture`: draws docs/dashboard.svg. Teams ask for backups and restores on a real platform for some minutes, while a
 * real Prometheus scrapes the dispatcher; then each panel of the dashboard gets what its queries give.
 */

const TEAMS = ["org-shop", "org-mail", "org-wiki"];
/** How long the whole lasts, and one round of requests, in milliseconds. */
const LASTS_MS = 5 * 60_000;
const ROUND_MS = 25_000;
const STEP_SECONDS = 2;

const say = printProgress(process.stderr);

const programs = await ensurePrograms(["prometheus"], { env: process.env, progress: say });
const cluster = await startCluster({ tier: "full", env: process.env, progress: say, keep: false });
const folder = await mkdtemp(path.join(os.tmpdir(), "picture-"));
try {
  await installPlatform(cluster, say);
  for (const team of TEAMS) await installApplication(cluster, team);
  const prometheus = await startPrometheus({ program: programs.prometheus, folder, target: await metricsOf(cluster) });
  try {
    const start = Date.now();
    await teamsAtWork(cluster, start + LASTS_MS);
    const over = { start: start / 1000, end: Date.now() / 1000 };
    const panels: PanelData[] = [];
    for (const panel of PANELS) panels.push(await dataOf(panel, prometheus, over));
    await writeFile("docs/dashboard.svg", drawDashboard(panels, over));
    say("docs/dashboard.svg is drawn");
  } finally {
    await prometheus.stop();
  }
} finally {
  await cluster.down();
  await rm(folder, { recursive: true });
}

/** Where the dispatcher says that it serves its metrics: its pod has a port of its own on this machine. */
async function metricsOf(started: StartedCluster): Promise<string> {
  const log = await systemKubectl(started, "logs", "deployment/operation-dispatcher");
  const [, url] = /"url":"([^"]+)"/.exec(log) ?? [];
  if (url === undefined) throw new Error("the dispatcher does not say where its metrics are");
  return new URL(url).host;
}

/** Backups of all teams at once, round after round; in between a restore that fails, one that works, and a drill. */
async function teamsAtWork(started: StartedCluster, until: number): Promise<void> {
  for (let round = 1; Date.now() < until; round++) {
    say(`round ${round}`);
    const next = Date.now() + ROUND_MS;
    const ask = async (team: string, ...args: string[]) => {
      await runCli([...args, "--timeout", "2m"], { kubeconfig: started.kubeconfig, namespace: team });
    };
    // The last team is never backed up before the third round.
    const asking = round < 3 ? TEAMS.slice(0, -1) : TEAMS;
    await Promise.all(asking.map((team) => ask(team, "backup", "shop", `round-${round}`, "--wait")));
    if (round % 3 === 1) await ask("org-mail", "restore", "shop", `wrong-${round}`, "--from", "none", "--wait");
    if (round % 3 === 2)
      await ask("org-shop", "restore", "shop", `back-${round}`, "--from", `round-${round}`, "--wait");
    if (round % 4 === 2) await ask("org-shop", "drill", "shop");
    await delay(Math.max(0, next - Date.now()));
  }
}

async function dataOf(panel: Panel, prometheus: Prometheus, over: { start: number; end: number }): Promise<PanelData> {
  const answers = await Promise.all(
    panel.queries.map(async ([expr, legend]) => {
      const found = await prometheus.range(expr, { ...over, step: STEP_SECONDS });
      return found.map(({ metric, values }) => ({ legend: legendOf(legend, metric), values }));
    }),
  );
  // What was 0 all the time tells nothing, unless all was.
  const series = answers.flat();
  const alive = series.filter(({ values }) => values.some(([, value]) => value > 0));
  return { panel, series: alive.length > 0 ? alive : series };
}

/** As Grafana fills in `{{label}}`. */
function legendOf(legend: string, labels: Series["metric"]): string {
  return legend.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? "").trim();
}
