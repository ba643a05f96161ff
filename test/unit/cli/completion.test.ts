import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { completionScript, wanted } from "../../../src/cli/completion.ts";
import { program } from "../../../src/cli/program.ts";

const root = program({
  name: "operation-runner",
  open: () => {
    throw new Error("no cluster is asked here");
  },
  ended: () => undefined,
});

function values(...words: string[]): readonly string[] {
  const answer = wanted(root, words);
  if (answer.kind !== "values") throw new Error(`names are wanted: ${answer.names}`);
  return answer.values;
}

describe("what could come next", () => {
  test("is a verb, at the beginning", () => {
    expect(values("de")).toEqual(["describe", "delete-backup"]);
    expect(values("")).not.toContain("__complete");
    expect(values("nothing", "")).toEqual([]);
  });

  test("is a flag of that verb", () => {
    expect(values("backup", "shop", "--snap")).toEqual(["--snapshot-volumes", "--snapshot-move-data"]);
    expect(values("cancel", "--dry-run=s")).toEqual(["--dry-run=server"]);
    expect(values("get", "-o", "")).toEqual(["table", "wide", "json", "yaml", "name"]);
  });

  test.each([
    [["describe", ""], "operations"],
    [["cancel", "one", ""], "operations that have not ended"],
    [["rerun", "-n", "org-a", ""], "operations that failed"],
    [["approve", ""], "operations that wait for approval"],
    [["delete-backup", ""], "successful backups"],
    [["backup", ""], "targets"],
    [["restore", "shop", "--from", ""], "successful backups"],
    [["restore", "shop", "--from-namespace", "o"], "namespaces"],
    [["get", "--context", ""], "contexts"],
  ])("%j: a name of %s", (words, names) => {
    expect(wanted(root, words)).toMatchObject({ kind: "names", names });
  });

  test("is nothing where a verb takes no more, or a free text", () => {
    expect(values("describe", "one", "")).toEqual([]);
    expect(values("backup", "shop", "--ttl", "")).toEqual([]);
  });
});

test("bash completes by what the program answers, and leaves out what is for kubectl alone", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "completion-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const program = path.join(folder, "operation-runner");
  writeFileSync(program, '#!/bin/sh\nshift\nfor word in "$@"; do echo "[$word]"; done\necho :4\n');
  chmodSync(program, 0o755);
  const script = `${completionScript("bash")}
COMP_WORDS=(operation-runner get "") COMP_CWORD=2
_operation_runner
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const env = { PATH: `${folder}:${process.env.PATH}` };
  expect(execFileSync("bash", ["-c", script], { env, encoding: "utf8" })).toBe("[get]\n[]\n");
});
