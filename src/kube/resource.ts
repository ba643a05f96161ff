import type { ZodType } from "zod";
import type { KubeObject } from "./metadata.ts";

/** One kind of object: its place in the API, and its schema. */
export interface Resource<T extends KubeObject = KubeObject> {
  /** API group; empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Parses every answer. Loose, so that unknown fields survive a write. */
  readonly schema: ZodType<T>;
  /** How many objects a page of a list has. Default 500; fewer if one object may be large. */
  readonly pageSize?: number;
}

/** `v1`, or `group/version`. */
export function apiVersionOf(resource: Pick<Resource, "group" | "version">): string {
  return resource.group === "" ? resource.version : `${resource.group}/${resource.version}`;
}

/** The resource as RBAC and kubectl name it: `pods`, `operations.ops.vworkspace.io`. */
export function qualifiedName(resource: Pick<Resource, "group" | "plural">): string {
  return resource.group === "" ? resource.plural : `${resource.plural}.${resource.group}`;
}

/**
 * The URL path of a collection or, with a name, of one object (or its subresource). Every part is escaped: names come
 * from tenants.
 */
export function pathOf(
  resource: Pick<Resource, "group" | "version" | "plural">,
  target: { namespace?: string | undefined; name?: string | undefined; subresource?: string | undefined },
): string {
  const parts = resource.group === "" ? ["api"] : ["apis", resource.group];
  parts.push(resource.version);
  if (target.namespace !== undefined) parts.push("namespaces", target.namespace);
  parts.push(resource.plural);
  if (target.name !== undefined) parts.push(target.name);
  if (target.subresource !== undefined) parts.push(target.subresource);
  return `/${parts.map(encodeURIComponent).join("/")}`;
}
