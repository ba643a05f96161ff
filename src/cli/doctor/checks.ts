import { clock } from "./checks/clock.ts";
import { dispatcher, lease, settings } from "./checks/dispatcher.ts";
import { crds, policies, rights } from "./checks/installed.ts";
import { leftovers } from "./checks/leftovers.ts";
import { stuck } from "./checks/operations.ts";
import { templates } from "./checks/templates.ts";
import { locations, snapshots, velero } from "./checks/velero.ts";
import type { Check, Finding } from "./finding.ts";
import type { Observed } from "./observe.ts";

/** What is to be made of what was seen. Pure. Each check says one thing, or one for each object that is in trouble. */

const CHECKS: readonly Check[] = [
  crds,
  policies,
  rights,
  dispatcher,
  lease,
  settings,
  templates,
  velero,
  locations,
  snapshots,
  clock,
  leftovers,
  stuck,
];
/** What can be asked before anything of ours is installed. */
const BEFORE: readonly Check[] = [velero, locations, snapshots, clock];

/** All findings, in the order in which things depend on each other. */
export function examine(seen: Observed, { before }: { before: boolean }): Finding[] {
  return (before ? BEFORE : CHECKS).flatMap((check) => check(seen));
}
