import type { Reporter, TestCase, TestModule } from "vitest/node";
import { duration } from "./cluster/progress.ts";

const heartbeatMs = 5_000;

/** Says every few seconds which tests are still at work, and for how long: a long test must not look like a dead one. */
export default class ProgressReporter implements Reporter {
  readonly #running = new Map<string, { what: string; since: number }>();
  #timer: NodeJS.Timeout | undefined;
  #finished = 0;

  onTestRunStart(): void {
    this.#timer = setInterval(() => this.#report(), heartbeatMs);
  }

  onTestModuleStart(module: TestModule): void {
    this.#running.set(module.id, { what: `${module.relativeModuleId} (setting up)`, since: performance.now() });
  }

  onTestCaseReady(test: TestCase): void {
    this.#running.delete(test.module.id);
    this.#running.set(test.id, {
      what: `${test.module.relativeModuleId} > ${test.fullName}`,
      since: performance.now(),
    });
  }

  onTestCaseResult(test: TestCase): void {
    this.#running.delete(test.id);
    this.#finished += 1;
  }

  onTestModuleEnd(module: TestModule): void {
    this.#running.delete(module.id);
  }

  onTestRunEnd(): void {
    clearInterval(this.#timer);
  }

  #report(): void {
    const [longest, ...others] = [...this.#running.values()].sort((a, b) => a.since - b.since);
    if (longest === undefined) return;
    const more = others.length > 0 ? `, and ${others.length} more` : "";
    const elapsed = duration(performance.now() - longest.since);
    process.stderr.write(`  ... ${this.#finished} tests done; ${elapsed} in ${longest.what}${more}\n`);
  }
}
