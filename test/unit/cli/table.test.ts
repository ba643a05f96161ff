import { expect, test } from "vitest";
import { tableLines } from "../../../src/cli/table.ts";

const table = {
  columns: [
    { name: "Name", priority: 0 },
    { name: "Phase", priority: 0 },
    { name: "Age", priority: 0 },
    { name: "Engine object", priority: 1 },
  ],
  rows: [
    {
      cells: ["shop-backup", "Succeeded", "3s", "b1"],
      object: { metadata: { name: "shop-backup", namespace: "org-a" } },
    },
    { cells: ["s", null, "2d", ""], object: { metadata: { name: "s", namespace: "org-b" } } },
  ],
};

test("a table has its columns below each other, and what is empty says so", () => {
  expect(tableLines(table, { wide: false, namespaces: false })).toEqual([
    "NAME          PHASE       AGE",
    "shop-backup   Succeeded   3s",
    "s             <none>      2d",
  ]);
});

test("a wide one has more before AGE, and no blank in a heading", () => {
  expect(tableLines(table, { wide: true, namespaces: true })).toEqual([
    "NAMESPACE   NAME          PHASE       ENGINE-OBJECT   AGE",
    "org-a       shop-backup   Succeeded   b1              3s",
    "org-b       s             <none>      <none>          2d",
  ]);
});

test("what a tenant wrote cannot move the cursor of who reads it", () => {
  const evil = {
    ...table,
    rows: [{ cells: ["a\u001b[2Jb\nc\u202e", "x", "1s", ""], object: { metadata: { name: "a" } } }],
  };
  expect(tableLines(evil, { wide: false, namespaces: false })[1]).toBe("a?[2Jb?c?   x       1s");
});
