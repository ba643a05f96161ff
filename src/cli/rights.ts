import { HttpMethod } from "@kubernetes/client-node/dist/gen/http/http.js";
import * as z from "zod";
import type { Resource } from "../kube/resource.ts";
import type { Access } from "./access.ts";

const reviewSchema = z.looseObject({ status: z.looseObject({ allowed: z.boolean() }) });

/** What a person would do in a namespace. */
export interface Deed {
  readonly verb: "get" | "list" | "create";
  readonly resource: Pick<Resource, "group" | "plural">;
  readonly subresource?: string;
  readonly namespace: string | undefined;
  /** Where it is about one object alone. */
  readonly name?: string;
}

/**
 * Whether the caller has a right. They are asked about themself alone, so that nothing is asked for in other namespaces that
 * they may not have. An API server that does not tell counts as a no.
 */
export async function may(
  { transport }: Access,
  { verb, resource, subresource, namespace, name }: Deed,
  signal: AbortSignal,
): Promise<boolean> {
  const { group, plural } = resource;
  const resourceAttributes = { verb, group, resource: plural, subresource, namespace, name };
  try {
    const text = await transport.text({
      method: HttpMethod.POST,
      path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
      body: { apiVersion: "authorization.k8s.io/v1", kind: "SelfSubjectAccessReview", spec: { resourceAttributes } },
      call: `ask for the right to ${verb} ${plural}${namespace === undefined ? "" : ` in ${namespace}`}`,
      signal,
    });
    return reviewSchema.parse(JSON.parse(text)).status.allowed;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

/**
 * What only whoever may look into a namespace of the platform's can do.
 *
 * @param what the subject of the sentence that refuses it
 * @throws Error in plain words where the caller lacks one of the rights; nothing else is asked then
 */
export async function insistOn(
  deeds: readonly (Deed & { readonly namespace: string })[],
  what: string,
  { access, interrupt }: { readonly access: Access; readonly interrupt: AbortSignal },
): Promise<void> {
  const answers = await Promise.all(deeds.map((deed) => may(access, deed, interrupt)));
  const missing = deeds.find((_, at) => !answers[at]);
  if (missing === undefined) return;
  const { verb, resource, namespace } = missing;
  throw new Error(
    `${what} needs rights in namespace ${namespace}, which the platform's admin has: there is none to ${verb} ${resource.plural}`,
  );
}
