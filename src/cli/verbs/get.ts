import { type Operation, operations } from "../../api/operation.ts";
import { systemClock } from "../../kube/clock.ts";
import { isNotFound } from "../../kube/errors.ts";
import { watchResource } from "../../kube/watch.ts";
import { bareName, type Context, readOperation } from "../context.ts";
import { Exit, UsageError } from "../exit.ts";
import { warnings } from "../follow.ts";
import { type ObjectFormat, printList, printObject } from "../output.ts";
import { readTable, type Table, tableLines } from "../table.ts";

export interface GetOptions {
  readonly output: "table" | "wide" | ObjectFormat;
  readonly allNamespaces?: boolean;
  readonly selector?: string;
  readonly watch?: boolean;
}

/** Lists Operations, or shows the named ones. */
export async function get(names: readonly string[], options: GetOptions, context: Context): Promise<number> {
  if (names.length > 0 && options.allNamespaces) throw new UsageError("a NAME cannot be looked for in all namespaces");
  if (names.length > 0 && options.selector !== undefined) throw new UsageError("give either names or -l, not both");
  if (names.length > 1 && options.watch) throw new UsageError("-w follows one NAME, or all of a namespace");
  const { output } = options;
  if (options.watch) return await watch(names[0], options, context);
  if (output === "table" || output === "wide") return await tables(names, options, context);
  return await objects(names, output, options, context);
}

function selectionOf({ allNamespaces, selector }: GetOptions, { access }: Context) {
  return { namespace: allNamespaces ? undefined : access.namespace, labelSelector: selector };
}

async function tables(names: readonly string[], options: GetOptions, context: Context): Promise<number> {
  const { access, terminal, interrupt } = context;
  const style = { wide: options.output === "wide", namespaces: options.allNamespaces === true };
  const print = (table: Table) => {
    for (const line of tableLines(table, style)) terminal.out(line);
  };
  if (names.length === 0) {
    const table = await readTable(access, operations, selectionOf(options, context), interrupt);
    if (table.rows.length > 0) print(table);
    else terminal.err(`No operations found${options.allNamespaces ? "" : ` in namespace ${access.namespace}`}.`);
    return Exit.done;
  }
  const found: Table[] = [];
  const missing = await each(names, context, async (name) => {
    found.push(await readTable(access, operations, { namespace: access.namespace, name }, interrupt));
  });
  if (found.length > 0) print({ columns: found[0]?.columns ?? [], rows: found.flatMap(({ rows }) => rows) });
  return missing ? Exit.error : Exit.done;
}

async function objects(
  names: readonly string[],
  format: ObjectFormat,
  options: GetOptions,
  context: Context,
): Promise<number> {
  const { access, terminal, interrupt } = context;
  const [name] = names;
  if (name === undefined) {
    const { items } = await access.client.list(operations, selectionOf(options, context), { signal: interrupt });
    printList(items, format, terminal);
    return Exit.done;
  }
  if (names.length === 1) {
    printObject(await readOperation(context, name), format, terminal);
    return Exit.done;
  }
  const found: Operation[] = [];
  const missing = await each(names, context, async (one) => {
    found.push(await readOperation(context, one));
  });
  printList(found, format, terminal);
  return missing ? Exit.error : Exit.done;
}

/** @returns whether one of them is not there; says which */
async function each(
  names: readonly string[],
  { terminal, access }: Context,
  work: (name: string) => Promise<void>,
): Promise<boolean> {
  let missing = false;
  for (const name of names.map(bareName)) {
    try {
      await work(name);
    } catch (error) {
      const isMissing = isNotFound(error) || (error instanceof Error && isNotFound(error.cause));
      if (!isMissing) throw error;
      missing = true;
      terminal.err(`error: there is no operation/${name} in namespace ${access.namespace}`);
    }
  }
  return missing;
}

/** Prints what there is and then every change, until somebody presses Ctrl-C. */
async function watch(name: string | undefined, options: GetOptions, context: Context): Promise<number> {
  const { access, terminal, interrupt } = context;
  const { output } = options;
  const style = { wide: output === "wide", namespaces: options.allNamespaces === true };
  const shown = new Map<string, string>();
  let headed = false;
  const row = async (operation: Operation) => {
    const { namespace, name: one } = operation.metadata;
    const table = await readTable(access, operations, { namespace, name: one }, interrupt);
    const [header = "", ...lines] = tableLines(table, style);
    if (!headed) terminal.out(header);
    headed = true;
    for (const line of lines) terminal.out(line);
  };
  const selection = selectionOf(options, context);
  const fieldSelector = name === undefined ? undefined : `metadata.name=${bareName(name)}`;
  // What is refused is refused at once; a watch would try again.
  if (name !== undefined) await readOperation(context, name);
  else await access.client.list(operations, selection, { signal: interrupt });
  const events = watchResource(access.client, operations, {
    ...selection,
    fieldSelector,
    signal: interrupt,
    logger: warnings(terminal),
    clock: systemClock,
  });
  for await (const event of events) {
    if (event.type === "synced" || event.type === "deleted") continue;
    const { uid, resourceVersion } = event.object.metadata;
    if (shown.get(uid) === resourceVersion) continue;
    shown.set(uid, resourceVersion);
    if (output !== "table" && output !== "wide") printObject(event.object, output, terminal);
    // It may be gone by now.
    else await row(event.object).catch((error: unknown) => (isNotFound(error) ? undefined : Promise.reject(error)));
  }
  return Exit.done;
}
