import { afterAll, beforeAll, expect, test } from "vitest";
import { operations } from "../../../src/api/operation.ts";
import { connect, type KubeClient } from "../../../src/kube/client.ts";
import type { Manifest } from "../../../src/kube/metadata.ts";
import { backupOperation } from "../../scenario/operations.ts";
import { SharedCluster } from "./sharedCluster.ts";

// Ann, who may edit org-a, fills the dispatcher's memory.

/** For all that the dispatcher has in its heap, in MiB: a quarter of what its container gets. */
const HEAP_MIB = 128;
/** More than four times as much. */
const COUNT = 400;

const KiB = 1024;
let shared: SharedCluster;
let ann: KubeClient;

beforeAll(async () => {
  shared = await SharedCluster.open({ NODE_OPTIONS: `--max-old-space-size=${HEAP_MIB}` });
  ann = connect({ KUBECONFIG: shared.users.ann }, { component: "ann", version: "0" });
  for (const namespace of ["org-a", "org-b"]) await shared.target(namespace, "shop");
});
afterAll(() => shared?.close());

/** Somebody else's engine takes any parameters; empty objects are what takes most room once it is parsed. */
function foreign(name: string, filling: unknown): Manifest {
  const targetRef = { apiVersion: "v1", kind: "Thing", name: "x" };
  const parameters = { values: { filling } };
  const spec = { type: "Upgrade", engine: "helm", targetRef, parameters };
  return { metadata: { name, namespace: "org-a" }, spec };
}

/** Of ours, annotations are as large as any object may have them. */
function annotated(name: string): Manifest {
  const { metadata, ...rest } = backupOperation({ name, namespace: "org-a", target: "not-there" });
  const annotations = { "ops.vworkspace.io/rerun": "x".repeat(120 * KiB), "ann/notes": "x".repeat(120 * KiB) };
  return { ...rest, metadata: { ...metadata, annotations } };
}

const text = "x".repeat(1300 * KiB);
const hollow = Array.from({ length: 400_000 }, () => ({}));

function big(at: number): Manifest {
  const name = `big-${at}`;
  if (at % 4 === 0) return annotated(name);
  return foreign(name, at < 8 ? hollow : text);
}

async function fill(): Promise<void> {
  const left = Array.from({ length: COUNT }, (_, at) => at);
  const work = async () => {
    for (let at = left.pop(); at !== undefined; at = left.pop()) await ann.create(operations, big(at));
  };
  await Promise.all(Array.from({ length: 4 }, work));
}

/** Bob's team gets what it asks for. */
async function served(name: string): Promise<void> {
  const bob = backupOperation({ namespace: "org-b", name });
  expect(await shared.create(bob, shared.users.bob)).toMatchObject({ code: 0, stderr: "" });
  // Half a gigabyte goes through the API server first.
  await shared.until("org-b", name, ({ status }) => status?.runner?.jobName !== undefined, 300_000);
}

test("hundreds of megabyte-sized Operations stop nobody else's", { timeout: 1_200_000 }, async () => {
  await fill();
  await shared.dispatcherRuns();
  await served("while-they-came");
  // Everything is read at once now.
  await shared.restartDispatcher();
  await served("with-all-of-them-there");
  await shared.dispatcherRuns();
});
