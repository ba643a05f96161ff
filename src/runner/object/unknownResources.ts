import * as z from "zod";
import type { VeleroOperation } from "../../api/operation.ts";
import type { VeleroObject } from "../../api/velero.ts";
import type { Served } from "../../kube/discovery.ts";
import { isForbidden, isNotFound } from "../../kube/errors.ts";
import { customResourceDefinitions } from "../../kube/resources.ts";
import { retry } from "../../kube/retry.ts";
import type { RunnerContext } from "../context.ts";
import { groupResource, nameable, nearestResource, resolveResource } from "./resourceNames.ts";

/** Velero asks the API server for its kinds every five minutes; a little more, because clocks differ. */
const VELERO_DISCOVERY_MS = 5 * 60_000 + 10_000;
const MAX_PROBLEMS = 5;

/** The lists of resources that an Operation's parameters may have. */
interface ResourceLists {
  readonly includedResources?: readonly string[] | undefined;
  readonly excludedResources?: readonly string[] | undefined;
}

/**
 * What is wrong with the resources that a Backup names. Velero ignores names that it does not know: `includedResources:
 * [configmpas]` would back up nothing, and `excludedResources: [secrts]` would back up the Secrets.
 * docs/contract.md#resource-names.
 *
 * @returns every wrong field, with its value and the nearest known name; undefined when all names are known, or when
 *   the API server does not say which kinds it has
 */
export async function resourcesProblem(context: RunnerContext, lists: ResourceLists): Promise<string | undefined> {
  const named = (["includedResources", "excludedResources"] as const).flatMap((field) =>
    (lists[field] ?? []).map((name, at) => ({ field: `spec.parameters.${field}.${at}`, name })),
  );
  const unknown = await unknownNames(
    context,
    named.map(({ name }) => name),
  );
  const problems = named.flatMap(({ field, name }) => {
    const why = unknown.get(name);
    return why === undefined ? [] : [`${field}: ${why}`];
  });
  if (problems.length === 0) return undefined;
  const left = problems.length - MAX_PROBLEMS;
  return problems.slice(0, MAX_PROBLEMS).join("; ") + (left > 0 ? `; and ${left} more` : "");
}

/**
 * The resources that Velero may have skipped without a word, because it did not know them: for a Restore those that
 * this cluster does not have, for a Backup those whose CRD is so new that Velero may not have seen it yet.
 */
export async function doubtfulResources(
  context: RunnerContext,
  { spec }: VeleroOperation,
  object: VeleroObject,
): Promise<string[]> {
  const lists = listsSchema.parse(spec.parameters ?? {});
  const { includedResources = [], excludedResources = [] } = lists;
  if (spec.type === "Restore")
    return [...(await unknownNames(context, [...includedResources, ...excludedResources])).values()];
  return await newKinds(context, includedResources, object.status?.startTimestamp ?? undefined);
}

const listsSchema = z.looseObject({
  includedResources: z.array(z.string()).optional(),
  excludedResources: z.array(z.string()).optional(),
});

/** The names that this cluster does not know, each with a message. */
async function unknownNames(context: RunnerContext, names: readonly string[]): Promise<Map<string, string>> {
  const unknown = new Map<string, string>();
  const served = await servedFor(context, names);
  // While an aggregated API server does not answer, its kinds are missing from the list.
  if (served === undefined || !served.complete) return unknown;
  const kinds = nameable(served);
  for (const name of names) {
    if (name === ALL || resolveResource(name, kinds) !== undefined) continue;
    const nearest = nearestResource(name, kinds);
    const hint = nearest === undefined ? "" : `; did you mean ${nearest}?`;
    unknown.set(name, `this cluster has no resource "${name}"${hint}`);
  }
  return unknown;
}

async function newKinds(
  context: RunnerContext,
  names: readonly string[],
  startTimestamp: string | undefined,
): Promise<string[]> {
  const served = await servedFor(context, names);
  if (served === undefined || startTimestamp === undefined) return [];
  const kinds = nameable(served);
  const fresh = new Set<string>();
  for (const kind of names.map((name) => resolveResource(name, kinds))) {
    // Only custom resources can be new, and their groups are domain names.
    if (kind === undefined || !kind.group.includes(".")) continue;
    const name = groupResource(kind);
    const made = await definedAt(context, name);
    if (made === undefined || Date.parse(startTimestamp) - Date.parse(made) >= VELERO_DISCOVERY_MS) continue;
    fresh.add(
      `${name} was new when Velero began: Velero looks for new kinds only every five minutes, so objects of this kind may be missing`,
    );
  }
  return [...fresh];
}

const ALL = "*";

async function servedFor(context: RunnerContext, names: readonly string[]): Promise<Served | undefined> {
  if (names.every((name) => name === ALL)) return undefined;
  try {
    return await retry(() => context.client.discover(context), context);
  } catch (error) {
    if (!(error instanceof z.ZodError) && !isForbidden(error)) throw error;
    context.logger.warn(
      { err: error },
      "the API server does not say which kinds it serves, so the resource names are not checked",
    );
    return undefined;
  }
}

/** When the CRD of that name was created; undefined when there is none. */
async function definedAt(context: RunnerContext, name: string): Promise<string | undefined> {
  try {
    const definition = await retry(() => context.client.get(customResourceDefinitions, { name }, context), context);
    return definition.metadata.creationTimestamp;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
