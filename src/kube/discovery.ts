import * as z from "zod";

/** One kind of object that the API server serves, in the version that it prefers. */
export interface ServedKind {
  /** Empty for the core group. */
  readonly group: string;
  readonly plural: string;
  /** In lower case; the kind if the server names no singular. */
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly verbs: readonly string[];
}

/** What the API server serves. */
export interface Served {
  /** Groups in the server's own order of preference. */
  readonly kinds: readonly ServedKind[];
  /** False if the server of some group (an APIService) does not answer: it may serve more kinds. */
  readonly complete: boolean;
}

/** The media type of one document for all groups, since Kubernetes 1.30. */
export const DISCOVERY_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

const resourceSchema = z.lazy(() =>
  z.looseObject({
    resource: z.string(),
    responseKind: z.looseObject({ kind: z.string() }).nullish(),
    singularResource: z.string().optional(),
    shortNames: z.array(z.string()).nullish(),
    verbs: z.array(z.string()).nullish(),
  }),
);
const discoverySchema = z.lazy(() =>
  z.looseObject({
    kind: z.literal("APIGroupDiscoveryList"),
    items: z.array(
      z.looseObject({
        metadata: z.looseObject({ name: z.string().optional() }).nullish(),
        versions: z.array(
          z.looseObject({ freshness: z.string().optional(), resources: z.array(resourceSchema).nullish() }),
        ),
      }),
    ),
  }),
);

/**
 * Reads documents of aggregated discovery. Of a kind in several versions, the first one counts, which the server
 * prefers.
 *
 * @throws ZodError when a document is something else
 */
export function parseDiscovery(documents: readonly unknown[]): Served {
  const groups = documents.flatMap((document) => discoverySchema.parse(document).items);
  const kinds = groups.flatMap(({ metadata, versions }) => {
    const group = metadata?.name ?? "";
    const seen = new Map<string, ServedKind>();
    for (const { resource: plural, responseKind, singularResource, shortNames, verbs } of versions.flatMap(
      ({ resources }) => resources ?? [],
    )) {
      const singular = singularResource || (responseKind?.kind ?? plural).toLowerCase();
      const kind = { group, plural, singular, shortNames: shortNames ?? [], verbs: verbs ?? [] };
      if (!seen.has(plural)) seen.set(plural, kind);
    }
    return [...seen.values()];
  });
  const complete = groups.every(({ versions }) => versions.every(({ freshness }) => freshness !== "Stale"));
  return { kinds, complete };
}
