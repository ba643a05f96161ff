import { readFile } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { spawnEndingWithParent } from "./endWithParent.ts";
import type { BuildPlan } from "./programs.ts";

/** A build that cannot succeed as things are; its message says what to do. */
export class ToolchainError extends Error {
  override readonly name = "ToolchainError";
}

/** How Go is run: which environment its processes get. */
export interface Go {
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Go as every build here sees it: the caller's own proxy and cache settings
 * hold, what would change the outcome (flags, workspaces, another platform,
 * cgo) does not. `scratch` receives Go's temporary files; `system` is what to build for, if not this machine.
 */
export function goFor(env: NodeJS.ProcessEnv, scratch: string, system?: string): Go {
  const { GOOS, GOARCH, GO111MODULE, GOBIN, ...rest } = env;
  return {
    env: {
      ...rest,
      ...(system !== undefined && { GOOS: system }),
      CGO_ENABLED: "0",
      GOFLAGS: "-mod=readonly",
      GOWORK: "off",
      GOTMPDIR: scratch,
      LC_ALL: "C",
    },
  };
}

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  /** The last lines of standard error. */
  readonly stderr: string;
}

const keptLines = 40;

/** Runs `go`; `onLine` hears every line it prints to standard error. Throws a ToolchainError when there is no Go. */
async function run(go: Go, folder: string, args: readonly string[], onLine?: (line: string) => void): Promise<Outcome> {
  const child = spawnEndingWithParent("go", args, { cwd: folder, env: go.env });
  const errors: string[] = [];
  const output: string[] = [];
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk.toString()));
  createInterface({ input: child.stderr }).on("line", (line) => {
    onLine?.(line);
    errors.push(line);
    if (errors.length > keptLines) errors.shift();
  });
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (exitCode) => resolve(exitCode ?? 1));
  });
  return { code, stdout: output.join(""), stderr: errors.join("\n") };
}

/**
 * Checks that there is a Go that can build the module in `folder`. A newer Go
 * that Go fetches for itself (GOTOOLCHAIN) counts. Throws a ToolchainError that
 * names the version found and the one needed.
 */
export async function checkGo(go: Go, folder: string): Promise<void> {
  const goMod = await readFile(path.join(folder, "go.mod"), "utf8");
  const needed = /^go (\S+)$/m.exec(goMod)?.[1] ?? "";
  const advice = `Install Go ${needed} or newer (https://go.dev/doc/install) and put it first in PATH.`;
  const local = await run(go, "/", ["env", "GOVERSION"]);
  if (local.code === 127) {
    throw new ToolchainError(`The test cluster is built with Go, and no go command is in PATH. ${advice}`);
  }
  const found = local.stdout.trim();
  if (local.code === 0 && isAtLeast(found, needed)) return;
  const fetched = await run(go, folder, ["env", "GOVERSION"]);
  if (fetched.code === 0 && isAtLeast(fetched.stdout.trim(), needed)) return;
  const why = firstLine(fetched.stderr);
  throw new ToolchainError(
    `The test cluster needs Go ${needed} or newer, found ${found || "an unusable one"}` +
      `${why === "" ? "" : `; Go could not bring a newer one by itself (${why})`}. ${advice}`,
  );
}

/** Compares Go versions such as "go1.26.8" and "1.26.0"; a release candidate counts as its release. */
export function isAtLeast(found: string, needed: string): boolean {
  const numbers = (version: string) =>
    version
      .replace(/^go/, "")
      .split(/[.-]|rc|beta/, 3)
      .map((part) => Number.parseInt(part, 10) || 0);
  const [have, want] = [numbers(found), numbers(needed)];
  for (const [index, number] of want.entries()) {
    const difference = (have[index] ?? 0) - number;
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/**
 * Fetches every module that a program needs; `onModule` is called once for each. Answers of how many packages the
 * program consists.
 */
export async function download(go: Go, { folder, package: main }: BuildPlan, onModule: () => void): Promise<number> {
  const outcome = await run(go, folder, ["list", "-deps", main], (line) => {
    if (line.startsWith("go: downloading ")) onModule();
  });
  if (outcome.code !== 0) throw failure("fetching the Go modules failed", outcome);
  return outcome.stdout.trimEnd().split("\n").length;
}

/** Builds one program into `output`; `onPackage` is called for each package that was not in Go's build cache. */
export async function build(go: Go, plan: BuildPlan, output: string, onPackage: () => void): Promise<void> {
  const args = [
    "build",
    "-v",
    "-trimpath",
    "-buildvcs=false",
    "-ldflags",
    plan.linkerFlags,
    "-o",
    output,
    plan.package,
  ];
  const outcome = await run(go, plan.folder, args, (line) => {
    if (/^[\w.~/-]+$/.test(line)) onPackage();
  });
  if (outcome.code !== 0) throw failure(`building ${plan.name} failed`, outcome);
}

/** The folders in which Go keeps modules and compiled packages. */
export async function goCaches(go: Go): Promise<string[]> {
  const { stdout } = await run(go, "/", ["env", "GOMODCACHE", "GOCACHE"]);
  return stdout.split("\n").filter((line) => line !== "");
}

const network =
  /dial tcp|no such host|i\/o timeout|TLS handshake|connection refused|network is unreachable|module lookup disabled|proxyconnect|: 50[234] /;

/** Turns what Go said into one message: what failed, why, and what to do where that is known. */
function failure(what: string, { stderr, code }: Outcome): ToolchainError {
  if (/no space left on device/.test(stderr)) return new ToolchainError(`${what}: the disk is full.`);
  const lines = stderr.split("\n").filter((line) => line !== "" && !line.startsWith("go: downloading "));
  const offline = lines.find((line) => network.test(line));
  if (offline !== undefined) {
    return new ToolchainError(
      `${what}: the Go module proxy cannot be reached (${offline.trim()}). ` +
        "The first build needs a network; see `go env GOPROXY` and your proxy settings.",
    );
  }
  if (code > 128) return new ToolchainError(`${what}: go was ended by signal ${code - 128} (out of memory?).`);
  return new ToolchainError(`${what}:\n${lines.slice(-15).join("\n")}`);
}

function firstLine(text: string): string {
  return text.trim().split("\n", 1)[0] ?? "";
}
