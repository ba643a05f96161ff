import * as z from "zod";

/**
 * A field of an object that others write, which exists whatever is in it: what is not as expected, null included, counts
 * as missing. Where that would be the wrong thing to think of it, the schema says what it stands for (`catch`).
 */
export function lenient<T extends z.ZodType>(schema: T) {
  return schema.optional().catch(undefined);
}

/** A list of such objects: an entry that is not as expected stands as an empty one, which nobody looks for. */
export function lenientList<T extends z.ZodType>(entry: T) {
  return lenient(z.array(entry.catch(() => entry.parse({}))));
}
