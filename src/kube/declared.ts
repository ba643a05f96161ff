import * as z from "zod";

/**
 * The same schema, but it drops fields that it does not name, at every depth. For objects that are kept in memory and
 * never written.
 */
export function declaredOnly<T>(schema: z.ZodType<T>): z.ZodType<T> {
  // The type stays the same: only fields that the schema does not name are missing.
  return without(schema) as z.ZodType<T>;
}

function without(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodLazy) return without(schema.unwrap());
  if (schema instanceof z.ZodObject) {
    const fields = Object.entries<z.core.$ZodType>(schema.shape).map(([name, field]) => [name, without(field)]);
    return z.object(Object.fromEntries(fields));
  }
  if (schema instanceof z.ZodArray) return z.array(without(schema.element));
  if (schema instanceof z.ZodOptional) return z.optional(without(schema.unwrap()));
  if (schema instanceof z.ZodNullable) return z.nullable(without(schema.unwrap()));
  if (schema instanceof z.ZodCatch) return z.catch(without(schema.unwrap()), schema.def.catchValue);
  return schema;
}
