import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { freePort } from "../cluster/embedded/component.ts";

const alertsSchema = z.object({ spec: z.object({ groups: z.array(z.unknown()) }) });
const instantSchema = z.object({ data: z.object({ result: z.array(z.unknown()) }) });
const rangeSchema = z.object({
  data: z.object({
    result: z.array(
      z.object({
        metric: z.record(z.string(), z.string()),
        values: z.array(z.tuple([z.number(), z.string().transform(Number)])),
      }),
    ),
  }),
});
const rulesSchema = z.object({
  data: z.object({ groups: z.array(z.object({ rules: z.array(z.object({ name: z.string(), health: z.string() })) })) }),
});

/** One series: its labels, and its values with their moments in Unix seconds. */
export type Series = z.infer<typeof rangeSchema>["data"]["result"][number];

export interface Prometheus {
  /** What an expression gives now; empty also while Prometheus is not up yet. */
  readonly query: (expr: string) => Promise<unknown[]>;
  /** What it gave between two moments (Unix seconds), every `step` seconds. */
  readonly range: (expr: string, over: { start: number; end: number; step: number }) => Promise<Series[]>;
  /** The alerts that it judges. */
  readonly rules: () => Promise<{ name: string; health: string }[]>;
  readonly stop: () => Promise<void>;
}

interface PrometheusOptions {
  /** The program's file. */
  readonly program: string;
  /** Where it keeps its files. */
  readonly folder: string;
  /** The dispatcher's `host:port`. */
  readonly target: string;
}

/** Starts a Prometheus with the alerts of the component, that scrapes a dispatcher each second as the ServiceMonitor has it done. */
export async function startPrometheus({ program, folder, target }: PrometheusOptions): Promise<Prometheus> {
  const port = await freePort();
  const config = path.join(folder, "prometheus.yaml");
  const rules = path.join(folder, "rules.yaml");
  const { spec } = alertsSchema.parse(parse(await readFile("manifests/components/prometheus/alerts.yaml", "utf8")));
  await writeFile(rules, stringify(spec));
  const labels = { namespace: "vworkspace-system", pod: "operation-dispatcher-0" };
  await writeFile(
    config,
    stringify({
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: [rules],
      scrape_configs: [
        { job_name: "operation-dispatcher", honor_labels: true, static_configs: [{ targets: [target], labels }] },
      ],
    }),
  );
  const args = [`--config.file=${config}`, `--storage.tsdb.path=${path.join(folder, "data")}`];
  const child = spawn(program, [...args, `--web.listen-address=127.0.0.1:${port}`], { stdio: "ignore" });
  const ended = once(child, "exit");
  const api = `http://127.0.0.1:${port}/api/v1`;
  const asked = (expr: string) => expr.replaceAll("$__rate_interval", "1m");
  return {
    async query(expr) {
      const answer = await fetch(`${api}/query?${new URLSearchParams({ query: asked(expr) })}`).catch(() => undefined);
      return answer?.ok ? instantSchema.parse(await answer.json()).data.result : [];
    },
    async range(expr, { start, end, step }) {
      const query = { query: asked(expr), start: String(start), end: String(end), step: String(step) };
      const answer = await fetch(`${api}/query_range?${new URLSearchParams(query)}`);
      if (!answer.ok) throw new Error(`${expr}: ${await answer.text()}`);
      return rangeSchema.parse(await answer.json()).data.result;
    },
    async rules() {
      const { data } = rulesSchema.parse(await (await fetch(`${api}/rules`)).json());
      return data.groups.flatMap((group) => group.rules);
    },
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
