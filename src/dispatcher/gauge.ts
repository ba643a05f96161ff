import { Gauge, type Registry } from "prom-client";

/** Gives one of the metric's series its value. */
export type SetValue = (labels: Record<string, string>, value: number) => void;

/** Registers a gauge that forgets its values and measures them anew at each scrape. */
export function addGauge(
  registry: Registry,
  name: string,
  help: string,
  labelNames: string[],
  measure: (set: SetValue) => void,
): void {
  new Gauge({
    name: `operation_runner_${name}`,
    help,
    labelNames,
    registers: [registry],
    collect() {
      this.reset();
      measure((labels, value) => this.set(labels, value));
    },
  });
}
