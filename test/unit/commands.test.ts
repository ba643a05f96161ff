import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { CommanderError } from "commander";
import { describe, expect, test } from "vitest";
import { everyRemedy } from "../../src/api/remedies.ts";
import { program } from "../../src/cli/program.ts";

// People copy commands out of the documentation, and out of what the program advises.
const repository = path.join(import.meta.dirname, "../..");
const pages = globSync(["README.md", "docs/**/*.md", "manifests/**/*.md", "test/**/*.md", ".github/**/*.md"], {
  cwd: repository,
});

interface Command {
  readonly where: string;
  readonly words: readonly string[];
  /** In a sentence the arguments may be left out. */
  readonly whole: boolean;
}

/** `kubectl operation …`: on a line of its own in a block of code, or between backticks. */
function commandsIn(where: string, markdown: string): Command[] {
  const lines = markdown.matchAll(/^ {4,}kubectl operation (.*)$/gm);
  const inline = markdown.matchAll(/`kubectl operation ([^`<]*)`/g);
  return [
    ...Array.from(lines, ([, text = ""]) => ({ where, words: wordsOf(text), whole: true })),
    ...Array.from(inline, ([, text = ""]) => ({ where, words: wordsOf(text), whole: false })),
  ];
}

/** As a shell splits them, up to a comment or a pipe. */
function wordsOf(text: string): string[] {
  const [command = ""] = text.split(/ +(?:#|\||&&)/);
  return Array.from(command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g), ([, ...parts]) => parts.find((part) => part) ?? "");
}

class Understood extends Error {}

/** Why the program does not take a command; undefined where it does. */
async function refusal({ words, whole }: Command): Promise<string | undefined> {
  const open = () => {
    throw new Understood();
  };
  const root = program({ name: "kubectl operation", open, ended: () => {} });
  for (const each of [root, ...root.commands]) each.exitOverride().configureOutput({ writeOut() {}, writeErr() {} });
  try {
    await root.parseAsync([...words], { from: "user" });
    return undefined;
  } catch (error) {
    if (error instanceof Understood) return undefined;
    if (!(error instanceof CommanderError)) throw error;
    const isShort = ["commander.missingArgument", "commander.missingMandatoryOptionValue"].includes(error.code);
    return isShort && !whole ? undefined : error.message;
  }
}

describe("a command that people are told", () => {
  const told = pages.flatMap((page) => commandsIn(page, readFileSync(path.join(repository, page), "utf8")));
  const advised = [...everyRemedy()].flatMap(([reason, { todo }]) =>
    Array.from(todo.matchAll(/kubectl operation ([\w-]+(?: NAME| TARGET| --[\w-]+| FILE)*)/g), ([, text = ""]) => ({
      where: `the remedy for ${reason}`,
      words: wordsOf(text),
      whole: true,
    })),
  );

  test.each([...told, ...advised].map((command) => ({ ...command, line: command.words.join(" ") })))(
    "kubectl operation $line ($where)",
    async (command) => {
      expect(await refusal(command)).toBeUndefined();
    },
  );

  test("is refused where it is wrong", async () => {
    const wrong = (text: string) => refusal({ where: "", words: wordsOf(text), whole: false });
    expect(await wrong("backup shop --tll 720h")).toContain("unknown option '--tll'");
    expect(await wrong("bakcup shop")).toContain("unknown command");
  });

  test("with npm is a script of this package", () => {
    const { scripts } = JSON.parse(readFileSync(path.join(repository, "package.json"), "utf8"));
    const named = pages.flatMap((page) =>
      Array.from(
        readFileSync(path.join(repository, page), "utf8").matchAll(/npm run (?:-s )?([a-z][\w:-]*)/g),
        ([, name = ""]) => name,
      ),
    );
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});
