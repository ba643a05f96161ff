import { test } from "vitest";
import {
  ADMITTED,
  BLOCKED,
  type CheckCase,
  canBeMended,
  expectAdmittedOnceMended,
  expectStatus,
  settings,
} from "./checkCases.ts";

const cases: CheckCase[] = [
  {
    what: "2: the location is closed, because nothing says that it is open",
    operation: { parameters: { storageLocation: "cold" } },
    world: (cluster) => {
      cluster.location("cold");
      settings({ storageLocationsClosed: true, storageLocations: { gold: ["org-a"] } })(cluster);
    },
    mend: settings({ storageLocationsClosed: true, storageLocations: { cold: ["org-b", "org-a"] } }),
    conditions: ["Accepted=False/StorageLocationForbidden", "Running=False/Pending"],
    says: /storageLocation: "cold" is not open to namespace org-a/,
  },
  {
    what: "2: the default location is closed",
    world: (cluster) => {
      cluster.location("cold", { phase: "Available" }, { default: true });
      settings({ storageLocationsClosed: true })(cluster);
    },
    mend: settings({ storageLocationsClosed: true, storageLocations: { cold: ["org-a"] } }),
    conditions: ["Accepted=False/StorageLocationForbidden", "Running=False/Pending"],
    says: /the default "cold" is not open/,
  },
  {
    what: "2: a closed location is no matter of a Restore's",
    operation: { type: "Restore" },
    world: settings({ storageLocationsClosed: true, snapshotClassesClosed: true }),
    conditions: ADMITTED,
  },
  {
    what: "2: the snapshot class is another team's",
    operation: { parameters: { csiSnapshotClassName: "fast" } },
    world: (cluster) => {
      cluster.snapshotClass("fast");
      settings({ snapshotClasses: { fast: ["org-b"] } })(cluster);
    },
    mend: settings({ snapshotClasses: { fast: ["org-b", "org-a"] } }),
    conditions: ["Accepted=False/SnapshotClassForbidden", "Running=False/Pending"],
    says: /csiSnapshotClassName: "fast" is not open to namespace org-a; name one that is$/,
  },
  {
    what: "2: the snapshot class is closed, because nothing says that it is open",
    operation: { parameters: { csiSnapshotClassName: "constructor" } },
    world: (cluster) => {
      cluster.snapshotClass("constructor");
      settings({ snapshotClassesClosed: true, snapshotClasses: { fast: ["org-a"] } })(cluster);
    },
    mend: settings({ snapshotClasses: { fast: ["org-b"] } }),
    conditions: ["Accepted=False/SnapshotClassForbidden", "Running=False/Pending"],
  },
  {
    what: "2: no snapshot class is named, whatever is closed",
    world: settings({ snapshotClassesClosed: true }),
    conditions: ADMITTED,
  },
  {
    what: "6: the snapshot class does not exist",
    operation: { parameters: { csiSnapshotClassName: "fast" } },
    mend: (cluster) => cluster.snapshotClass("fast"),
    conditions: [BLOCKED, "Blocked=True/MissingVolumeSnapshotClass", "Running=False/Pending"],
    says: /"fast"/,
  },
  {
    what: "7: the location does not exist",
    operation: { parameters: { storageLocation: "cold" } },
    mend: (cluster) => cluster.location("cold"),
    conditions: [BLOCKED, "Blocked=True/StorageLocationUnavailable", "Running=False/Pending"],
  },
  {
    what: "7: Velero cannot reach the location",
    operation: { parameters: { storageLocation: "cold" } },
    world: (cluster) => cluster.location("cold", { phase: "Unavailable", message: "no such\nbucket" }),
    mend: (cluster) => cluster.location("cold"),
    conditions: [BLOCKED, "Blocked=True/StorageLocationUnavailable", "Running=False/Pending"],
    says: /"cold" is Unavailable: no such bucket$/,
  },
  {
    what: "7: Velero has not looked at the location yet",
    operation: { parameters: { storageLocation: "cold" } },
    world: (cluster) => cluster.location("cold", {}),
    mend: (cluster) => cluster.location("cold"),
    conditions: [BLOCKED, "Blocked=True/StorageLocationUnavailable", "Running=False/Pending"],
  },
  {
    what: "7: the location is read-only",
    operation: { parameters: { storageLocation: "cold" } },
    world: (cluster) => cluster.location("cold", { phase: "Available" }, { accessMode: "ReadOnly" }),
    mend: (cluster) => cluster.location("cold"),
    conditions: [BLOCKED, "Blocked=True/StorageLocationUnavailable", "Running=False/Pending"],
    says: /is ReadOnly$/,
  },
  {
    what: "7: Velero cannot reach its default location",
    world: (cluster) => {
      cluster.location("default");
      cluster.location("main", { phase: "Unavailable", message: "no route" }, { default: true });
    },
    mend: (cluster) => cluster.location("main", { phase: "Available" }, { default: true }),
    conditions: [BLOCKED, "Blocked=True/StorageLocationUnavailable", "Running=False/Pending"],
    says: /"main" is Unavailable: no route$/,
  },
  {
    what: "7: the default location is read-only",
    world: (cluster) => cluster.location("main", { phase: "Available" }, { accessMode: "ReadOnly", default: true }),
    mend: (cluster) => cluster.location("main", { phase: "Available" }, { default: true }),
    conditions: [BLOCKED, "Blocked=True/StorageLocationUnavailable", "Running=False/Pending"],
    says: /"main" is ReadOnly$/,
  },
  {
    what: "7: the location that Velero falls back to is out of reach",
    world: (cluster) => cluster.location("default", { phase: "Unavailable" }),
    mend: (cluster) => cluster.location("main", { phase: "Available" }, { default: true }),
    conditions: [BLOCKED, "Blocked=True/StorageLocationUnavailable", "Running=False/Pending"],
    says: /"default" is Unavailable$/,
  },
  {
    what: "7: nothing says which location Velero falls back to",
    world: (cluster) => cluster.location("cold"),
    conditions: ADMITTED,
  },
  {
    what: "7: Velero fell back to a location that is out of reach",
    operation: { status: { runner: { storageLocation: "server-default" } } },
    mend: (cluster) => cluster.location("server-default"),
    conditions: [BLOCKED, "Blocked=True/StorageLocationUnavailable", "Running=False/Pending"],
    says: /"server-default" does not exist$/,
  },
  {
    what: "7: a runner found that the files of a Restore are out of reach",
    operation: { type: "Restore", status: { runner: { storageLocation: "cold" } } },
    world: (cluster) => cluster.location("cold", { phase: "Unavailable", message: "no route" }),
    mend: (cluster) => cluster.location("cold", { phase: "Available" }, { accessMode: "ReadOnly" }),
    conditions: [BLOCKED, "Blocked=True/StorageLocationUnavailable", "Running=False/Pending"],
    says: /"cold" is Unavailable: no route$/,
  },
  {
    what: "7: a Restore does not care for the default location",
    operation: { type: "Restore" },
    world: (cluster) => cluster.location("main", { phase: "Unavailable" }, { default: true }),
    conditions: ADMITTED,
  },
];

test.each(cases)("$what: the status says so, once", expectStatus);

test.each(cases.filter(canBeMended))("$what: admitted as soon as that is mended", expectAdmittedOnceMended);
