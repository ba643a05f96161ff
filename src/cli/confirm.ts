import type { Context } from "./context.ts";

export interface Confirmation {
  readonly yes?: boolean;
}

/**
 * Asks whether to go on with what cannot be taken back.
 *
 * @throws Error where the answer is no, or where nobody can be asked; it names `--yes`
 */
export async function confirmed(what: string, { yes = false }: Confirmation, context: Context): Promise<void> {
  if (yes) return;
  const { terminal, interrupt } = context;
  const answer = await terminal.ask(`${what} Go on? [y/N] `, interrupt);
  if (answer === undefined) throw new Error(`${what} Nobody was there to confirm it: give --yes to go on`);
  if (!/^y(es)?$/i.test(answer.trim())) throw new Error("not confirmed: nothing was done");
}
