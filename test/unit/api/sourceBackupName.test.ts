import { expect, test } from "vitest";
import { parseBackupName } from "../../../src/api/sourceBackupName.ts";

test.each([
  ["daily", { kind: "any", name: "daily" }],
  ["daily.v2-1", { kind: "any", name: "daily.v2-1" }],
  ["operation/daily", { kind: "operation", name: "daily" }],
  ["operation/org-a/daily", { kind: "operation", namespace: "org-a", name: "daily" }],
  ["backup/daily", { kind: "backup", name: "daily" }],
])("%s names what it says", (text, named) => {
  expect(parseBackupName(text)).toEqual(named);
});

test.each([
  "",
  "/",
  "backup/",
  "operation/",
  "operation//daily",
  "operation/org-a/",
  "operation/org.a/daily",
  "backup/velero/daily",
  "operation/org-a/daily/x",
  "org-a/daily",
  "restore/daily",
  "Backup/daily",
  "../daily",
  "operation/../daily",
  "daily\n",
  " daily",
  `${"x".repeat(254)}`,
  `backup/${"x".repeat(254)}`,
  `operation/${"x".repeat(64)}/daily`,
])("%j names nothing", (text) => {
  expect(parseBackupName(text)).toBeUndefined();
});
