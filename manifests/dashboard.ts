/** The Grafana dashboard of the component prometheus. docs/metrics.md. */

export interface Panel {
  readonly title: string;
  readonly unit: "short" | "s" | "bytes" | "percentunit" | "reqps" | "bool";
  /** Each query with the legend of its series. */
  readonly queries: readonly (readonly [expr: string, legend: string])[];
}

const METRIC = "operation_runner_";

export const PANELS: readonly Panel[] = [
  {
    title: "Ended, by result",
    unit: "short",
    queries: [[`sum by (type, result) (increase(${METRIC}operations_total[$__rate_interval]))`, "{{type}} {{result}}"]],
  },
  {
    title: "Under way, waiting and held back",
    unit: "short",
    queries: [
      [`sum by (type) (${METRIC}operations_active)`, "{{type}} under way"],
      [`sum by (type) (${METRIC}operations_queued)`, "{{type}} waiting for a turn"],
      [`sum by (reason) (${METRIC}operations_blocked)`, "held back: {{reason}}"],
    ],
  },
  {
    title: "Since the last success",
    unit: "s",
    queries: [
      [`time() - max by (namespace, type) (${METRIC}last_success_timestamp_seconds)`, "{{namespace}} {{type}}"],
    ],
  },
  {
    title: "Failing, for",
    unit: "s",
    queries: [
      [`time() - min by (namespace, type) (${METRIC}failing_since_timestamp_seconds)`, "{{namespace}} {{type}}"],
    ],
  },
  {
    title: "The oldest last Backup of an application",
    unit: "s",
    queries: [[`time() - min by (namespace) (${METRIC}oldest_backup_timestamp_seconds)`, "{{namespace}}"]],
  },
  {
    title: "Never backed up, for",
    unit: "s",
    queries: [[`time() - min by (namespace) (${METRIC}never_backed_up_since_timestamp_seconds)`, "{{namespace}}"]],
  },
  {
    title: "Since the last restore drill",
    unit: "s",
    queries: [
      [`time() - max by (namespace, result) (${METRIC}last_drill_timestamp_seconds)`, "{{namespace}} {{result}}"],
    ],
  },
  {
    title: "How long an Operation takes, 95 %",
    unit: "s",
    queries: [
      [
        `histogram_quantile(0.95, sum by (le, type) (increase(${METRIC}operation_duration_seconds_bucket[1h])))`,
        "{{type}}",
      ],
    ],
  },
  {
    title: "The oldest that waits, and that is under way",
    unit: "s",
    queries: [
      [`time() - min by (type) (${METRIC}oldest_queued_timestamp_seconds)`, "{{type}} waiting"],
      [`time() - min by (type) (${METRIC}oldest_active_timestamp_seconds)`, "{{type}} under way"],
    ],
  },
  {
    title: "In order: 1, not: 0",
    unit: "bool",
    queries: [
      [`max(${METRIC}leader)`, "a dispatcher leads"],
      [`min by (location) (${METRIC}storage_location_available)`, "location {{location}}"],
      [`min by (type) (${METRIC}template_valid)`, "template {{type}}"],
      [`min(${METRIC}settings_valid)`, "settings"],
      [`min(${METRIC}protection_complete)`, "protection of tenants"],
    ],
  },
  {
    title: "Requests to the API server",
    unit: "reqps",
    queries: [[`sum by (verb, code) (rate(${METRIC}api_requests_total[$__rate_interval]))`, "{{verb}} {{code}}"]],
  },
  {
    title: "The dispatcher's own queue",
    unit: "short",
    queries: [
      [`sum by (state) (${METRIC}work_queue_depth)`, "{{state}}"],
      [`sum(increase(${METRIC}watch_restarts_total[$__rate_interval])) or vector(0)`, "watches begun again"],
    ],
  },
  {
    title: "How late the dispatcher is",
    unit: "s",
    queries: [
      [`max(${METRIC}work_queue_oldest_due_seconds)`, "oldest decision that is due"],
      ['max(nodejs_eventloop_lag_p99_seconds{job="operation-dispatcher"})', "event loop, 99 %"],
    ],
  },
  {
    title: "The dispatcher's memory",
    unit: "bytes",
    queries: [['process_resident_memory_bytes{job="operation-dispatcher"}', "{{pod}}"]],
  },
];

/** In Grafana's grid of 24 columns. */
const [WIDTH, HEIGHT] = [12, 8];

/** The dashboard as Grafana imports it. */
export function dashboard(): object {
  return {
    uid: "operation-runner",
    title: "operation-runner",
    tags: ["backup", "velero"],
    schemaVersion: 39,
    time: { from: "now-24h", to: "now" },
    refresh: "1m",
    templating: {
      list: [{ name: "datasource", label: "Prometheus", type: "datasource", query: "prometheus" }],
    },
    panels: PANELS.map(({ title, unit, queries }, at) => ({
      id: at + 1,
      title,
      type: "timeseries",
      datasource: { type: "prometheus", uid: "$datasource" },
      gridPos: { x: (at % 2) * WIDTH, y: Math.floor(at / 2) * HEIGHT, w: WIDTH, h: HEIGHT },
      fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
      options: { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi" } },
      targets: queries.map(([expr, legendFormat], index) => ({
        refId: String.fromCharCode("A".charCodeAt(0) + index),
        expr,
        legendFormat,
      })),
    })),
  };
}

/** The ConfigMap from which Grafana's sidecar takes it. */
export function dashboardConfigMap(): object {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name: "operation-runner-dashboard",
      namespace: "vworkspace-system",
      labels: { grafana_dashboard: "1" },
    },
    data: { "operation-runner.json": `${JSON.stringify(dashboard(), null, 2)}\n` },
  };
}
