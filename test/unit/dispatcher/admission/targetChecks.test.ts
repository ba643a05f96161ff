import { test } from "vitest";
import { settingsSchema } from "../../../../src/dispatcher/settings.ts";
import { condition } from "../clusterObjects.ts";
import {
  ADMITTED,
  BLOCKED,
  type CheckCase,
  canBeMended,
  expectAdmittedOnceMended,
  expectStatus,
} from "./checkCases.ts";

const cases: CheckCase[] = [
  {
    what: "3: the target does not exist",
    world: (cluster) => cluster.targets.clear(),
    mend: (cluster) => cluster.target("org-a"),
    conditions: ["Accepted=False/TargetNotFound", "Running=False/Pending"],
    says: /no ApplicationInstance "shop" in namespace org-a/,
  },
  {
    what: "3: a Restore brings its target",
    operation: { type: "Restore" },
    world: (cluster) => cluster.targets.clear(),
    conditions: ADMITTED,
  },
  {
    what: "3: a release in another namespace",
    world: (cluster) => cluster.target("org-a", { spec: { release: { namespace: "org-b" } } }),
    mend: (cluster) => cluster.target("org-a", { spec: { release: { namespace: "org-a" } } }),
    conditions: ["Accepted=False/TargetNamespaceForbidden", "Running=False/Pending"],
  },
  {
    what: "3: a release in another namespace, for a Restore",
    operation: { type: "Restore" },
    world: (cluster) => cluster.target("org-a", { spec: { release: { namespace: "org-b" } } }),
    conditions: ["Accepted=False/TargetNamespaceForbidden", "Running=False/Pending"],
  },
  {
    what: "4: the target lists other engines",
    world: (cluster) => cluster.target("org-a", { annotations: { "ops.vworkspace.io/backup": "volsync, helm" } }),
    mend: (cluster) => cluster.target("org-a", { annotations: { "ops.vworkspace.io/backup": "volsync, velero" } }),
    conditions: ["Accepted=False/CapabilityMissing", "Running=False/Pending"],
  },
  {
    what: "4: what the target says of Backups does not bind a Restore",
    operation: { type: "Restore" },
    world: (cluster) => cluster.target("org-a", { annotations: { "ops.vworkspace.io/backup": "volsync" } }),
    conditions: ADMITTED,
  },
  {
    what: "5: the target is not ready",
    world: (cluster) => cluster.target("org-a", { ready: [condition("Ready", "False", "Installing", "2 of 3 pods")] }),
    mend: (cluster) => cluster.target("org-a"),
    conditions: [BLOCKED, "Blocked=True/TargetNotReady", "Running=False/Pending"],
    says: /Installing: 2 of 3 pods/,
  },
  {
    what: "5: a target that says nothing of being ready",
    world: (cluster) => cluster.target("org-a", { ready: [] }),
    conditions: ADMITTED,
  },
  {
    what: "5: the setting lets unready targets through",
    world: (cluster) => {
      cluster.settings = settingsSchema.parse({ requireTargetReady: false });
      cluster.target("org-a", { ready: [condition("Ready", "False", "Installing")] });
    },
    conditions: ADMITTED,
  },
  {
    what: "5: a Restore mends an unready target",
    operation: { type: "Restore" },
    world: (cluster) => cluster.target("org-a", { ready: [condition("Ready", "False", "Broken")] }),
    conditions: ADMITTED,
  },
];

test.each(cases)("$what: the status says so, once", expectStatus);

test.each(cases.filter(canBeMended))("$what: admitted as soon as that is mended", expectAdmittedOnceMended);
