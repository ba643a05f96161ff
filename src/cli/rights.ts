import { HttpMethod } from "@kubernetes/client-node/dist/gen/http/http.js";
import * as z from "zod";
import type { Resource } from "../kube/resource.ts";
import type { Access } from "./access.ts";

const reviewSchema = z.looseObject({ status: z.looseObject({ allowed: z.boolean() }) });

const ruleSchema = z.looseObject({
  verbs: z.array(z.string()),
  apiGroups: z.array(z.string()).nullish(),
  resources: z.array(z.string()).nullish(),
  resourceNames: z.array(z.string()).nullish(),
});
const rulesReviewSchema = z.looseObject({
  status: z.looseObject({ resourceRules: z.array(ruleSchema), incomplete: z.boolean() }),
});

/** What somebody may do, as the API server tells it: `status.resourceRules` of a SelfSubjectRulesReview. */
export type ResourceRule = z.infer<typeof ruleSchema>;

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
  const call = `ask for the right to ${verb} ${plural}${namespace === undefined ? "" : ` in ${namespace}`}`;
  const answer = await review(transport, "SelfSubjectAccessReview", { resourceAttributes }, call, signal);
  return reviewSchema.safeParse(answer).data?.status.allowed ?? false;
}

/** Whether the caller has one right or another, where many are asked about: one question for each namespace, not one for each right. */
export class Rights {
  readonly #access: Access;
  readonly #signal: AbortSignal;
  readonly #rules = new Map<string, Promise<z.infer<typeof rulesReviewSchema>["status"] | undefined>>();

  constructor(access: Access, signal: AbortSignal) {
    this.#access = access;
    this.#signal = signal;
  }

  /** As {@link may}. */
  async may(deed: Deed): Promise<boolean> {
    const { namespace } = deed;
    // What holds in a namespace does not tell what holds outside of all of them.
    if (namespace === undefined) return await may(this.#access, deed, this.#signal);
    const asked = this.#rules.get(namespace) ?? this.#ask(namespace);
    this.#rules.set(namespace, asked);
    const known = await asked;
    if (known?.resourceRules.some((rule) => allows(rule, deed))) return true;
    // Authorizers other than RBAC may not tell all that they allow.
    return known?.incomplete === false ? false : await may(this.#access, deed, this.#signal);
  }

  async #ask(namespace: string) {
    const call = `ask for the rights in ${namespace}`;
    const answer = await review(this.#access.transport, "SelfSubjectRulesReview", { namespace }, call, this.#signal);
    return rulesReviewSchema.safeParse(answer).data?.status;
  }
}

/** Whether a rule allows something, as RBAC reads rules. Kubernetes, pkg/apis/rbac/v1/evaluation_helpers.go. */
export function allows(
  { verbs, apiGroups, resources, resourceNames }: ResourceRule,
  { verb, resource: { group, plural }, subresource, name }: Deed,
): boolean {
  const names = (all: readonly string[] | null | undefined, one: string) =>
    all?.some((each) => each === "*" || each === one) ?? false;
  const asked = subresource === undefined ? plural : `${plural}/${subresource}`;
  const ofAny = subresource === undefined ? asked : `*/${subresource}`;
  const isNamed = !resourceNames?.length || (name !== undefined && resourceNames.includes(name));
  return (
    names(verbs, verb) && names(apiGroups, group) && (names(resources, asked) || names(resources, ofAny)) && isNamed
  );
}

/** What the API server says of the caller; undefined where it does not. */
async function review(
  transport: Access["transport"],
  kind: "SelfSubjectAccessReview" | "SelfSubjectRulesReview",
  spec: object,
  call: string,
  signal: AbortSignal,
): Promise<unknown> {
  try {
    const text = await transport.text({
      method: HttpMethod.POST,
      path: `/apis/authorization.k8s.io/v1/${kind.toLowerCase()}s`,
      body: { apiVersion: "authorization.k8s.io/v1", kind, spec },
      call,
      signal,
    });
    return JSON.parse(text);
  } catch {
    signal.throwIfAborted();
    return undefined;
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
