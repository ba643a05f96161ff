import { expect, test } from "vitest";
import { settingsSchema } from "../../../src/dispatcher/settings.ts";
import { Cluster, messageOf } from "./fakeCluster.ts";

const SECRET = "AccessDenied: arn:aws:iam::123456789012:role/velero on bucket s3://prod-backups";

test.each([
  [false, `BackupStorageLocation "gold" is Unavailable: ${SECRET}`],
  [true, 'BackupStorageLocation "gold" is Unavailable: Velero\'s log says why'],
])("what Velero says of a location is passed on unless the admin keeps it: %s", (hideVeleroMessages, expected) => {
  const cluster = new Cluster();
  cluster.settings = settingsSchema.parse({ hideVeleroMessages });
  cluster.location("gold", { phase: "Unavailable", message: SECRET });
  const operation = cluster.settle(cluster.add({ parameters: { storageLocation: "gold" } }));
  expect(messageOf(cluster.status(operation), "Blocked")).toBe(expected);
});
