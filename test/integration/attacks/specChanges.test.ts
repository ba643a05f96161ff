import { HttpMethod } from "@kubernetes/client-node/dist/gen/http/http.js";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { operations } from "../../../src/api/operation.ts";
import { loadConfig } from "../../../src/kube/config.ts";
import { ApiError } from "../../../src/kube/errors.ts";
import { pathOf, qualifiedName } from "../../../src/kube/resource.ts";
import { Transport } from "../../../src/kube/transport.ts";
import { SharedCluster } from "./sharedCluster.ts";
import { type Json, type SpecChange, specChanges, valueAt, withValue } from "./specFields.ts";

// Ann, who may edit org-a, changes what she has asked for, by every verb and patch type. Nothing of it may take effect but an
// approval.
let shared: SharedCluster;
let ann: Transport;

beforeAll(async () => {
  shared = await SharedCluster.open();
  ann = new Transport(loadConfig({ KUBECONFIG: shared.users.ann }), "ann");
});
afterAll(() => shared?.close());

const namespace = "org-a";
const { PATCH, POST, PUT } = HttpMethod;
const stored = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string() }),
  spec: z.looseObject({ approvals: z.unknown().optional() }).optional(),
});

/** What the API server answers Ann; its words where it refuses. */
async function asks(
  method: HttpMethod,
  name: string | undefined,
  body: unknown,
  contentType?: string,
): Promise<string> {
  const apply = contentType === APPLY ? { query: { fieldManager: "ann", force: true } } : {};
  const path = pathOf(operations, { namespace, name });
  const type = contentType === undefined ? {} : { contentType };
  try {
    return await ann.text({ method, path, body, ...type, ...apply, call: "", signal: AbortSignal.timeout(60_000) });
  } catch (error) {
    if (error instanceof ApiError) return error.message;
    throw error;
  }
}

const APPLY = "application/apply-patch+yaml";

let count = 0;

/**
 * Creates Operations with the spec as it is before, and makes each of them what it is after in another way.
 *
 * @returns what took effect; nothing where nothing did
 */
async function effects({ before, after, path }: SpecChange): Promise<string[]> {
  const wanted = valueAt(after, path);
  const pointer = `/spec${path.map((part) => `/${part}`).join("")}`;
  const ways: Record<string, (name: string, resourceVersion: string) => Promise<string>> = {
    replace: (name, resourceVersion) => asks(PUT, name, manifest(name, after, { resourceVersion })),
    apply: (name) => asks(PATCH, name, manifest(name, after), APPLY),
    "merge patch": (name) =>
      asks(PATCH, name, withValue({}, ["spec", ...path], wanted ?? null), "application/merge-patch+json"),
    "JSON patch": (name) =>
      asks(
        PATCH,
        name,
        [wanted === undefined ? { op: "remove", path: pointer } : { op: "add", path: pointer, value: wanted }],
        "application/json-patch+json",
      ),
  };
  const found: string[] = [];
  for (const [way, change] of Object.entries(ways)) {
    const name = `change-${++count}`;
    const made = await asks(PATCH, name, manifest(name, before), APPLY);
    // Nobody can change what is never made.
    if (made.includes("spec.parameters: unknown")) continue;
    expect(made).toContain(`"name":"${name}"`);
    const { spec, metadata } = await specOf(name);
    await change(name, metadata.resourceVersion);
    const { spec: now } = await specOf(name);
    if (JSON.stringify(now) !== JSON.stringify(spec)) found.push(`${way}: ${JSON.stringify(now)}`);
    await shared.client.delete(operations, { namespace, name });
  }
  return found;
}

function manifest(name: string, spec: Json | undefined, metadata: Json = {}): Json {
  const { kind, group, version } = operations;
  const head = { apiVersion: `${group}/${version}`, kind, metadata: { name, namespace, ...metadata } };
  return spec === undefined ? head : { ...head, spec };
}

/** The Operation as it is stored, without approvals: those may come later. */
async function specOf(name: string) {
  const path = pathOf(operations, { namespace, name });
  const answer = await ann.text({ method: HttpMethod.GET, path, call: "", signal: AbortSignal.timeout(60_000) });
  const { spec, metadata } = stored.parse(JSON.parse(answer));
  if (spec === undefined) return { metadata, spec };
  const { approvals: _, ...rest } = spec;
  return { metadata, spec: rest };
}

const changes = await specChanges();

describe("with the CRD as it is shipped", () => {
  test.each(changes)("%s: without effect", async (_, change) => {
    expect(await effects(change)).toEqual([]);
  });

  test("an approval that is required stays required", async () => {
    const spec = { ...changes[1]?.[1].before, approvals: { required: true } };
    expect(await asks(POST, undefined, manifest("required", spec))).toContain('"name":"required"');
    for (const approvals of [null, { required: false }, { required: null }]) {
      const answer = await asks(PATCH, "required", { spec: { approvals } }, "application/merge-patch+json");
      expect(answer).toContain("once true it stays true");
    }
  });

  test("an unknown parameter is refused at once, and what is allowed is said", async () => {
    const spec = withValue({ ...changes[1]?.[1].before }, ["parameters", "__proto__"], 1);
    expect(await asks(POST, undefined, manifest("unknown", spec))).toContain(
      "spec.parameters: unknown __proto__; a Backup takes storageLocation, ",
    );
  });
});

describe("with another operator's CRD, which has no such rules", () => {
  beforeAll(async () => {
    const drop = ["", "/properties/spec"].map((at) => ({
      op: "remove",
      path: `/spec/versions/0/schema/openAPIV3Schema${at}/x-kubernetes-validations`,
    }));
    const patch = ["patch", "crd", qualifiedName(operations), "--type=json", "-p", JSON.stringify(drop)];
    expect(await shared.cluster.kubectl(patch)).toMatchObject({ code: 0 });
    // Names that are too long were refused by those rules alone.
    const long = () => asks(PATCH, "n".repeat(70), manifest("n".repeat(70), changes[1]?.[1].before), APPLY);
    await vi.waitFor(async () => expect(await long()).not.toContain("63 characters at most"), { timeout: 60_000 });
  });

  test("the dispatcher says so", async () => {
    const { missing } = await shared.dispatcher.logged((line) => Array.isArray(line.missing));
    expect(String(missing)).toContain("CRD operations.ops.vworkspace.io lacks validation rules");
    const metrics = await (await fetch(`${await shared.dispatcher.url()}/metrics`)).text();
    expect(metrics).toContain("operation_runner_protection_complete 0");
  });

  test.each(changes)("%s: without effect", async (_, change) => {
    expect(await effects(change)).toEqual([]);
  });
});
