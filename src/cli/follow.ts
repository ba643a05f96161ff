import { pino } from "pino";
import * as z from "zod";
import { type Operation, operations } from "../api/operation.ts";
import { systemClock } from "../kube/clock.ts";
import { watchResource } from "../kube/watch.ts";
import type { Access } from "./access.ts";
import type { Terminal } from "./terminal.ts";

/** The Operation that was followed does not exist any more. */
export class Deleted extends Error {
  override readonly name = "Deleted";
}

/**
 * Every state of one Operation, from now on. Trouble with the API server after the first answer is told and waited out.
 *
 * @param first the Operation as it was read: one of another UID is another one
 * @throws Deleted once it is gone, and the signal's reason
 */
export async function* follow(
  { client }: Access,
  first: Operation,
  { signal, terminal }: { signal: AbortSignal; terminal: Terminal },
): AsyncGenerator<Operation, never> {
  const { namespace, name, uid } = first.metadata;
  const gone = () => new Deleted(`operation/${name} was deleted`);
  yield first;
  const watch = watchResource(client, operations, {
    namespace,
    fieldSelector: `metadata.name=${name}`,
    signal,
    logger: warnings(terminal),
    clock: systemClock,
  });
  let seen = false;
  for await (const event of watch) {
    if (event.type === "synced") {
      if (!seen) throw gone();
      continue;
    }
    if (event.type === "deleted" || event.object.metadata.uid !== uid) throw gone();
    seen = true;
    yield event.object;
  }
  throw gone();
}

const lineSchema = z.looseObject({ msg: z.string(), err: z.looseObject({ message: z.string() }).optional() });

/** What the watch has to tell of trouble, for people. */
export function warnings(terminal: Terminal) {
  return pino(
    { level: "warn", base: null },
    {
      write(line: string) {
        const { msg, err } = lineSchema.parse(JSON.parse(line));
        terminal.err(`warning: ${msg}${err === undefined ? "" : `: ${err.message}`}`);
      },
    },
  );
}
