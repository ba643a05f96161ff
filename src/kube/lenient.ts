import * as z from "zod";

/**
 * A field of an object that somebody else writes. An unexpected value, null included, counts as missing, so that the
 * object is still read. Where "missing" would be the wrong guess, the schema says what to assume instead (`catch`).
 */
export function lenient<T extends z.ZodType>(schema: T) {
  return schema.optional().catch(undefined);
}

/** A list of such objects. An unexpected entry counts as an empty one, which matches nothing. */
export function lenientList<T extends z.ZodType>(entry: T) {
  return lenient(z.array(entry.catch(() => entry.parse({}))));
}

/**
 * A text and a number, read leniently. Each is one schema for all fields of that kind: a process that reads few objects spends
 * most on making schemas.
 */
export const lenientText = lenient(z.string());
export const lenientNumber = lenient(z.number());
