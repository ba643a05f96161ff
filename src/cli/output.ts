import { stringify } from "yaml";
import type { KubeObject } from "../kube/metadata.ts";
import type { Terminal } from "./terminal.ts";

/** The formats in which objects can be printed whole, beside a verb's own. */
export const OBJECT_FORMATS = ["json", "yaml", "name"] as const;
export type ObjectFormat = (typeof OBJECT_FORMATS)[number];

/** An object as far as printing it needs: also one that is still to be created. */
export interface Printable {
  readonly kind?: unknown;
  readonly metadata: { readonly name?: string; readonly managedFields?: unknown };
}

/** Prints one object, as kubectl does: without managedFields. */
export function printObject(object: Printable, format: ObjectFormat, terminal: Terminal): void {
  terminal.out(format === "name" ? nameOf(object) : formatted(shown(object), format));
}

/** Prints objects as a list, be there one, none or many. */
export function printList(objects: readonly KubeObject[], format: ObjectFormat, terminal: Terminal): void {
  if (format === "name") {
    for (const object of objects) terminal.out(nameOf(object));
    return;
  }
  const list = { apiVersion: "v1", kind: "List", metadata: {}, items: objects.map(shown) };
  terminal.out(formatted(list, format));
}

/** `operation/shop-backup`. */
export function nameOf({ kind, metadata }: Printable): string {
  return `${String(kind).toLowerCase()}/${metadata.name}`;
}

export function formatted(value: unknown, format: "json" | "yaml"): string {
  return format === "json"
    ? JSON.stringify(value, null, 2)
    : stringify(value, { aliasDuplicateObjects: false }).trimEnd();
}

function shown(object: Printable): object {
  const { managedFields: _noise, ...metadata } = object.metadata;
  return { ...object, metadata };
}
