import fc from "fast-check";

/**
 * An object as it should not be: of `sample`, at any depth, any field may be missing or be any JSON. What the API server
 * vouches for stays: name, uid and resourceVersion.
 */
export function malformed<T extends { metadata: object }>(sample: T): fc.Arbitrary<Record<string, unknown>> {
  const { metadata, ...rest } = sample;
  const { name, uid, resourceVersion, ...others } = metadata as Record<string, unknown>;
  const vouched = fc.constant({ name, uid, resourceVersion });
  return fc
    .tuple(vouched, fields(others), fields(rest))
    .map(([identity, more, all]) => ({ ...all, metadata: { ...more, ...identity } }));
}

function fields(sample: Record<string, unknown>): fc.Arbitrary<Record<string, unknown>> {
  const keys = Object.keys(sample);
  return fc.record(Object.fromEntries(keys.map((key) => [key, value(sample[key])])), { requiredKeys: [] });
}

function value(sample: unknown): fc.Arbitrary<unknown> {
  const asIs = Array.isArray(sample)
    ? fc.tuple(...sample.map(value))
    : typeof sample === "object" && sample !== null
      ? fields(sample as Record<string, unknown>)
      : fc.constant(sample);
  return fc.oneof({ weight: 4, arbitrary: asIs }, { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) });
}
