import { type Context, readOperation } from "../context.ts";
import { description } from "../description.ts";
import { Exit } from "../exit.ts";
import { eventsOf, platformView } from "../platformView.ts";

/** Tells all about one Operation: where it stands, why, and what to do. */
export async function describe(name: string, context: Context): Promise<number> {
  const { terminal, now } = context;
  const operation = await readOperation(context, name);
  const [events, platform] = await Promise.all([eventsOf(operation, context), platformView(operation, context)]);
  const style = terminal.style.bind(terminal);
  for (const line of description({ operation, events, platform, now: now() }, style)) terminal.out(line);
  return Exit.done;
}
