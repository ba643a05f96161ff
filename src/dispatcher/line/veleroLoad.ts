import { veleroStage } from "../../api/velero.ts";

/** What Velero has to do of one type, whoever asked for it. */
export interface VeleroLoad {
  readonly atWork: number;
  readonly inLine: number;
  /** Those that are no Operation's, as `name (phase)`: those at work first, and only the first few. */
  readonly others: readonly string[];
}

const MAX_NAMED = 3;

export function veleroLoad(
  objects: Iterable<{ readonly name: string; readonly phase: string | undefined; readonly isOurs: boolean }>,
): VeleroLoad {
  const load = { atWork: 0, inLine: 0 };
  const others = { atWork: [] as string[], inLine: [] as string[] };
  for (const { name, phase, isOurs } of objects) {
    const stage = veleroStage(phase);
    if (stage === "letGo") continue;
    load[stage] += 1;
    if (!isOurs) others[stage].push(`${name} (${phase || "New"})`);
  }
  return { ...load, others: [...others.atWork.sort(), ...others.inLine.sort()].slice(0, MAX_NAMED) };
}

/** `works on 1 Backup and has 2 in line, nightly (InProgress) among them` */
export function loadText(type: string, { atWork, inLine, others }: VeleroLoad): string {
  const works = `works on ${atWork} ${type}${atWork === 1 ? "" : "s"}`;
  const line = inLine === 0 ? "" : ` and has ${inLine} in line`;
  const named = others.length === 0 ? "" : `, ${others.join(", ")} among them`;
  return works + line + named;
}
