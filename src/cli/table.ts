import { HttpMethod } from "@kubernetes/client-node/dist/gen/http/http.js";
import * as z from "zod";
import { UnreachableError } from "../kube/errors.ts";
import { pathOf, qualifiedName, type Resource } from "../kube/resource.ts";
import type { Access } from "./access.ts";
import { printable } from "./terminal.ts";

/** What `kubectl get` would show: the API server makes the cells, so that columns stay the CRD's. */

const tableSchema = z.lazy(() =>
  z.looseObject({
    metadata: z.looseObject({ continue: z.string().optional() }),
    columnDefinitions: z.array(z.looseObject({ name: z.string(), priority: z.number().catch(0) })).nullish(),
    rows: z
      .array(
        z.looseObject({
          cells: z.array(z.unknown()),
          object: z.looseObject({ metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }) }),
        }),
      )
      .nullish(),
  }),
);

type Column = NonNullable<z.infer<typeof tableSchema>["columnDefinitions"]>[number];
type Row = NonNullable<z.infer<typeof tableSchema>["rows"]>[number];

export interface Table {
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
}

const TABLE_TYPE = "application/json;as=Table;v=v1;g=meta.k8s.io";
const PAGE_SIZE = 500;
const TIMEOUT_MS = 30_000;

/** Reads the table of the selected objects; with a name, of that one. */
export async function readTable(
  { transport }: Access,
  resource: Resource,
  selection: { namespace?: string | undefined; name?: string; labelSelector?: string | undefined },
  interrupt: AbortSignal,
): Promise<Table> {
  const { namespace, name, labelSelector } = selection;
  const call = `${name === undefined ? "list" : "get"} ${qualifiedName(resource)} ${[namespace, name].filter(Boolean).join("/")}`;
  const rows: Row[] = [];
  let columns: Column[] = [];
  let next: string | undefined;
  for (;;) {
    const text = await transport.text({
      method: HttpMethod.GET,
      path: pathOf(resource, { namespace, name }),
      query: name === undefined ? { labelSelector, limit: PAGE_SIZE, continue: next } : {},
      accept: TABLE_TYPE,
      call: call.trim(),
      signal: limited(interrupt, call),
    });
    const page = tableSchema.parse(JSON.parse(text));
    columns = page.columnDefinitions ?? columns;
    rows.push(...(page.rows ?? []));
    next = page.metadata.continue || undefined;
    if (next === undefined) return { columns, rows };
  }
}

function limited(interrupt: AbortSignal, call: string): AbortSignal {
  const controller = new AbortController();
  const late = () => controller.abort(new UnreachableError(call, `none within ${TIMEOUT_MS / 1000} s`));
  setTimeout(late, TIMEOUT_MS).unref();
  return AbortSignal.any([interrupt, controller.signal]);
}

export interface TableStyle {
  /** The columns that only `-o wide` shows, too. */
  readonly wide: boolean;
  /** NAMESPACE as the first column. */
  readonly namespaces: boolean;
}

/** The lines of a table, as kubectl writes them: the header in capitals, AGE last, `<none>` for what is empty. */
export function tableLines({ columns, rows }: Table, { wide, namespaces }: TableStyle): string[] {
  const shown = columns.flatMap(({ name, priority }, at) => (wide || priority === 0 ? [{ name, at }] : []));
  // AGE is last, whatever a wide table adds.
  const ordered = [...shown.filter(({ name }) => name !== "Age"), ...shown.filter(({ name }) => name === "Age")];
  const header = ordered.map(({ name }) => name.toUpperCase().replaceAll(" ", "-"));
  const body = rows.map(({ cells, object }) => [
    ...(namespaces ? [object.metadata.namespace ?? "<none>"] : []),
    ...ordered.map(({ at }) => cellText(cells[at])),
  ]);
  return aligned([[...(namespaces ? ["NAMESPACE"] : []), ...header], ...body]);
}

function cellText(cell: unknown): string {
  if (cell === null || cell === undefined || cell === "") return "<none>";
  return printable(typeof cell === "object" ? JSON.stringify(cell) : String(cell));
}

/** Rows as lines whose columns begin below each other, three spaces apart. */
export function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, at) => {
      widths[at] = Math.max(widths[at] ?? 0, cell.length);
    });
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("   ")
      .trimEnd(),
  );
}
