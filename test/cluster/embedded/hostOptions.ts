import { z } from "zod";
import type { ProgramName } from "../toolchain/programs.ts";
import { tier } from "./connection.ts";

/** The one argument of the host, as JSON. */
export const hostOptions = z.object({
  folder: z.string(),
  tier,
  /** Outlive the process that started us; the connection is written into this file for those who come later. */
  keep: z.string().optional(),
  /** Paths of the programs that the tier needs. */
  programs: z.record(z.string(), z.string()),
});
export type HostOptions = z.infer<typeof hostOptions>;

/** What the host tells the process that started it. */
export const hostMessage = z.union([z.object({ ready: z.literal(true) }), z.object({ error: z.string() })]);
export type HostMessage = z.infer<typeof hostMessage>;

/** Picks programs by name. Throws when one is missing. */
export function choose<Name extends ProgramName>(
  programs: HostOptions["programs"],
  names: readonly Name[],
): Record<Name, string> {
  return z.record(z.enum(names), z.string()).parse(Object.fromEntries(names.map((name) => [name, programs[name]])));
}
