import { test } from "vitest";
import { type CheckCase, canBeMended, expectAdmittedOnceMended, expectStatus, settings } from "./checkCases.ts";

const cases: CheckCase[] = [
  {
    what: "1: a namespace that is not watched",
    world: settings({ namespaces: ["org-b"] }),
    mend: settings({ namespaces: ["org-b", "org-a"] }),
    conditions: ["Accepted=False/OutOfScope", "Running=False/Pending"],
  },
  {
    what: "1: the control plane's label is missing",
    world: settings({ requireManagedByLabel: true }),
    mend: settings({}),
    conditions: ["Accepted=False/OutOfScope", "Running=False/Pending"],
    says: /app\.vworkspace\.io\/managed-by=control-plane/,
  },
  {
    what: "1: the namespace lacks the gate label",
    world: settings({ namespaceGateLabel: "backups.example.com/on" }),
    mend: (cluster) => cluster.namespace("org-a", { "backups.example.com/on": "true" }),
    conditions: ["Accepted=False/OutOfScope", "Running=False/Pending"],
    says: /backups\.example\.com\/on=true/,
  },
  {
    what: "1: another cluster's Operation",
    operation: { labels: { "app.vworkspace.io/cluster-id": "us-1" } },
    world: settings({ clusterId: "eu-1" }),
    conditions: ["Accepted=False/ClusterMismatch", "Running=False/Pending"],
    says: /"us-1".*"eu-1"/,
  },
  {
    what: "1: a cluster is named, and this one has no name",
    operation: { labels: { "app.vworkspace.io/cluster-id": "us-1" } },
    conditions: ["Accepted=False/ClusterMismatch", "Running=False/Pending"],
  },
];

test.each(cases)("$what: the status says so, once", expectStatus);

test.each(cases.filter(canBeMended))("$what: admitted as soon as that is mended", expectAdmittedOnceMended);
