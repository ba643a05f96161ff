import type { VeleroOperation } from "../../api/operation.ts";

export type Type = VeleroOperation["spec"]["type"];

/** An Operation as the others in line see it. Two with the same fields are the same to them. */
export interface Entrant {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly type: Type;
  readonly creationTimestamp: string;
  /** `waiting`: only for its turn. `underWay`: something is being done for it, or will be without another check. */
  readonly state: "waiting" | "underWay";
  /** Whether it is under way and Velero has its object in its queue or at work, or is about to get it. */
  readonly inVelero: boolean;
}

/** The oldest first: by creationTimestamp, which the API server always writes in the same form, then by UID. */
export function byAge(a: Entrant, b: Entrant): number {
  if (a.creationTimestamp !== b.creationTimestamp) return a.creationTimestamp < b.creationTimestamp ? -1 : 1;
  if (a.uid === b.uid) return 0;
  return a.uid < b.uid ? -1 : 1;
}

/** Velero acts on whole namespaces: a Restore runs alone in its own, Backups run side by side. */
export function conflicts(a: Pick<Entrant, "type">, b: Pick<Entrant, "type">): boolean {
  return a.type === "Restore" || b.type === "Restore";
}

export function isSame(a: Entrant, b: Entrant): boolean {
  return (
    a.uid === b.uid &&
    a.state === b.state &&
    a.inVelero === b.inVelero &&
    a.namespace === b.namespace &&
    a.name === b.name &&
    a.type === b.type &&
    a.creationTimestamp === b.creationTimestamp
  );
}
