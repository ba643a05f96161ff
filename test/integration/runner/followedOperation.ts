import { expect } from "vitest";
import type { Operation, OperationType, Status } from "../../../src/api/operation.ts";
import { conditionOf } from "../../../src/api/status.ts";
import type { Clock } from "../../../src/kube/clock.ts";
import type { Run, RunnerFixture } from "./runnerFixture.ts";

/** One Operation named x1, the run that follows it, and its Velero object, which is New. */
export class FollowedOperation {
  readonly fixture: RunnerFixture;
  readonly type: OperationType;
  /** What every status of this Operation has. */
  readonly frame: Record<string, unknown>;
  readonly #operation: Operation;
  run: Run;

  constructor(fixture: RunnerFixture, operation: Operation, run: Run, shown: Operation) {
    this.fixture = fixture;
    this.type = operation.spec?.type === "Restore" ? "Restore" : "Backup";
    this.run = run;
    this.#operation = operation;
    const engine = { apiVersion: "velero.io/v1", kind: this.type, namespace: fixture.velero.namespace };
    this.frame = {
      startedAt: "TIME",
      observedGeneration: 1,
      admittedSpec: shown.status?.admittedSpec,
      engineRef: { ...engine, name: "x1", uid: shown.status?.engineRef?.uid },
      ...(this.type === "Restore" && {
        backupRef: { ...engine, kind: "Backup", name: "source", uid: shown.status?.backupRef?.uid },
      }),
      runner: { jobName: JOB.name, jobNamespace: "vworkspace-system", attempt: 1, jobUIDs: [JOB.uid] },
    };
  }

  static async open(fixture: RunnerFixture, type: OperationType): Promise<FollowedOperation> {
    if (type === "Restore") {
      const spec = { includedNamespaces: [fixture.namespace], storageLocation: "default" };
      await fixture.velero.make("Backup", "source", { spec, status: { phase: "Completed" } });
    }
    const parameters = type === "Restore" ? { backupName: "source" } : { storageLocation: "default" };
    const operation = await fixture.admitted("x1", { type, parameters });
    const run = fixture.start(operation, { job: JOB });
    return new FollowedOperation(fixture, operation, run, await fixture.until("x1", (status) => shows(status, "New")));
  }

  /** Velero writes this into the object's status. */
  async setVeleroStatus(status: Record<string, unknown>): Promise<void> {
    await this.fixture.velero.setStatus(this.type, "x1", status);
  }

  /** Waits until the Operation shows a phase of Velero's; returns the whole status, {@link plain}. */
  async shown(phase: string): Promise<unknown> {
    return plain((await this.fixture.until("x1", (status) => shows(status, phase))).status);
  }

  /** Waits for the end; returns its exit code and the whole status, {@link plain}. */
  async end(): Promise<{ exitCode: number; status: unknown }> {
    const { exitCode } = await this.run.ended;
    return { exitCode, status: plain((await this.fixture.read("x1")).status) };
  }

  /** As when the pod is killed, and its Job starts another one after something has happened. */
  async restart(meanwhile: () => Promise<void>, clock?: Clock): Promise<void> {
    this.run.stop();
    await expect(this.run.ended).rejects.toThrow("killed");
    await meanwhile();
    this.run = this.fixture.start(this.#operation, { job: JOB, ...(clock && { clock }) });
  }
}

const JOB = { name: "x1-job", uid: "u1" };

function shows(status: Status, phase: string): boolean {
  const [first] = conditionOf(status, "Running")?.message.split(";") ?? [];
  return first?.endsWith(`phase ${phase}`) === true;
}

/** A status without what differs from run to run: that times are times is checked, which ones they are is not. */
function plain(status: Status | undefined): unknown {
  const text = JSON.stringify(status).replace(/"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"/g, '"TIME"');
  return JSON.parse(text.replace(/"duration":"[^"]+"/, '"duration":"LONG"'));
}
