import { describe, expect, test } from "vitest";
import type { Status } from "../../../src/api/operation.ts";
import { type Described, description } from "../../../src/cli/description.ts";
import { operation } from "../runner/operations.ts";

const at = "2026-01-01T00:05:00Z";
const now = new Date("2026-01-01T00:08:00Z");
const nothingSeen = { velero: undefined, job: undefined, pods: undefined };

function metadata(name: string) {
  return { name, uid: `uid-${name}`, resourceVersion: "1", creationTimestamp: at };
}

function described(status: Status | undefined, more: Partial<Described> = {}): string[] {
  const shown = {
    operation: operation("Backup", { ...(status && { status }) }),
    events: [],
    platform: nothingSeen,
    now,
  };
  return description({ ...shown, ...more }, (_, text) => text);
}

const blocked: Status = {
  phase: "Pending",
  conditions: [
    {
      type: "Blocked",
      status: "True",
      reason: "StorageLocationUnavailable",
      message: "default is Unavailable: no such bucket",
      lastTransitionTime: at,
    },
  ],
};

describe("a description", () => {
  test("says what it waits for, since when, who must act and what they do", () => {
    const text = described(blocked).join("\n");
    expect(text).toContain("State:     Waiting for 3m");
    expect(text).toContain("Why:       StorageLocationUnavailable: default is Unavailable: no such bucket");
    expect(text).toMatch(/To do: +the platform's admin: mend the BackupStorageLocation /);
  });

  test("names the Operation in what to do", () => {
    const conditions = [
      { type: "Failed", status: "True", reason: "RunnerFailed", message: "", lastTransitionTime: at } as const,
    ];
    expect(described({ phase: "Failed", conditions }).join("\n")).toContain("kubectl operation rerun b1 -n org-a");
  });

  test("tells of one that nobody has looked at", () => {
    expect(described(undefined).join("\n")).toMatch(/To do: .*whether the dispatcher runs/);
  });

  test("tells what was asked for and is not done", () => {
    const { metadata: meta, ...rest } = operation("Backup", { status: blocked });
    const asked = { ...rest, metadata: { ...meta, annotations: { "ops.vworkspace.io/cancel": "true" } } };
    expect(described(undefined, { operation: asked }).join("\n")).toContain("Requested: that it is cancelled");
  });

  test("shows what is in the platform's namespaces as far as it was seen", () => {
    const status: Status = {
      phase: "Running",
      engineRef: { kind: "Backup", namespace: "velero", name: "b1" },
      runner: { jobName: "b1-job", jobNamespace: "system", attempt: 2 },
    };
    const unseen = described(status);
    expect(unseen).toContain("Velero:    Backup velero/b1");
    expect(unseen).toContain("Job:       system/b1-job, attempt 2");
    const base = { apiVersion: "v1", kind: "Pod" };
    const seen = described(status, {
      platform: {
        velero: { ...base, kind: "Backup", metadata: metadata("b1"), status: { phase: "InProgress" } },
        job: null,
        pods: [
          {
            ...base,
            metadata: metadata("b1-pod"),
            spec: { nodeName: "node-1" },
            status: {
              phase: "Pending",
              containerStatuses: [{ name: "runner", state: { waiting: { reason: "ImagePullBackOff" } } }],
            },
          },
        ],
      },
    });
    expect(seen).toContain("Velero:    Backup velero/b1, phase InProgress");
    expect(seen).toContain("Job:       system/b1-job, attempt 2, which is gone");
    expect(seen).toContain("Pod:       b1-pod, Pending (ImagePullBackOff) on node-1");
  });

  test("stays on one screen, however many warnings, attempts and Events there are", () => {
    const many = Array.from({ length: 200 }, (_, at) => at);
    const status: Status = {
      ...blocked,
      outputs: { backupItemCount: "14", backupSizeBytes: "5202", warnings: many.map((at) => `org-a: warning ${at}`) },
      history: many.map((attempt) => ({ attempt, phase: "Failed", reason: "RunnerFailed", finishedAt: at })),
    };
    const events = many.map((n) => ({
      apiVersion: "v1",
      kind: "Event",
      metadata: metadata(`e${n}`),
      reason: "JobCreated",
      message: `${n}`,
      lastTimestamp: new Date(Date.parse(at) + n * 1000).toISOString(),
    }));
    const lines = described(status, { events });
    expect(lines.length).toBeLessThanOrEqual(40);
    expect(lines).toContain("Warnings (200):");
    expect(lines.join("\n")).toContain("and 195 more");
    expect(lines.join("\n")).toContain("14 items, 5.1 KiB");
    expect(lines).toContain("Earlier attempts (200):");
    expect(lines.at(-1)).toContain("199");
  });

  test("says that Events may not be seen, rather than that there are none", () => {
    expect(described(undefined, { events: undefined }).at(-1)).toBe("Events: no right to see them");
  });

  test("lets no text of a tenant's move the cursor", () => {
    const [blockedBy] = blocked.conditions ?? [];
    const message = "\u001b[2J\nFAKE: all is well";
    const conditions = blockedBy === undefined ? [] : [{ ...blockedBy, message }];
    const lines = described({ ...blocked, conditions });
    expect(lines.join("\n")).not.toContain("\u001b");
    expect(lines.filter((line) => line.startsWith("FAKE"))).toEqual([]);
  });
});
