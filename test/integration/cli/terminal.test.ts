import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { operations } from "../../../src/api/operation.ts";
import { testCluster } from "../../cluster/testCluster.ts";
import { DispatcherFixture, installApis } from "../dispatcher/dispatcherFixture.ts";

// What people see on a terminal, and what they answer there. The program runs in a pseudo-terminal of `script` (util-linux).
const hasScript = spawnSync("script", ["--version"], { encoding: "utf8" }).stdout?.includes("util-linux") === true;
if (!hasScript) console.warn("tests are skipped: they need script of util-linux for a pseudo-terminal");

const cluster = testCluster();
let fixture: DispatcherFixture;

beforeAll(async () => {
  await installApis(cluster, { snapshots: true });
  fixture = await DispatcherFixture.open(cluster);
});
afterAll(() => fixture?.close());

/** One command on a terminal of its own. */
class Session {
  readonly #child: ChildProcess;
  #screen = "";
  #device: string | undefined;
  readonly #ended: Promise<number>;
  readonly #waiting = new Set<() => void>();

  constructor(args: string, { columns = 80, env = {} }: { columns?: number; env?: NodeJS.ProcessEnv } = {}) {
    const command = `tty; stty cols ${columns}; exec ${process.execPath} src/main.ts ${args} -n ${fixture.tenant}`;
    this.#child = spawn("script", ["-q", "-e", "-c", command, "/dev/null"], {
      env: {
        PATH: process.env.PATH,
        TERM: "xterm",
        KUBECONFIG: cluster.kubeconfig,
        NODE_DISABLE_COMPILE_CACHE: "1",
        ...env,
      },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#screen += text;
      for (const look of this.#waiting) look();
    });
    this.#ended = once(this.#child, "close").then(([code]) => code);
  }

  /** Resolves once that was on the screen. */
  async shows(pattern: RegExp): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => pattern.test(this.#screen) && resolve();
    this.#waiting.add(look);
    look();
    await Promise.race([promise, this.#ended]);
    expect(this.#screen).toMatch(pattern);
  }

  /** Makes the window that wide, as dragging its corner does; once something is on the screen. */
  resize(columns: number): void {
    this.#device ??= /\/dev\/\S+/.exec(this.#screen)?.[0];
    const { status, stderr } = spawnSync("stty", ["-F", this.#device ?? "", "cols", String(columns)], {
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`stty -F ${this.#device}: ${stderr}`);
  }

  /** Forgets what was on the screen until now. */
  wipe(): void {
    this.#screen = "";
  }

  types(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** The exit code, and everything that was ever on the screen. */
  async ended(): Promise<{ code: number; screen: string }> {
    return { code: await this.#ended, screen: this.#screen };
  }
}

const waits = {
  phase: "Pending",
  conditions: [{ type: "Accepted", status: "False", reason: "TargetNotFound", message: "no such target" }],
} as const;

describe.skipIf(!hasScript)("on a terminal", () => {
  test.each([
    ["n", 1, /not confirmed: nothing was done/],
    ["", 1, /not confirmed: nothing was done/],
    ["yes", 0, /operation\/over-yes created/],
  ])("a restore that overwrites asks; to %j it ends with %d", async (answer, code, told) => {
    const name = `over-${answer}x`.replace("yesx", "yes");
    const asked = new Session(`restore shop ${name} --from daily --existing-resource-policy update`);
    await asked.shows(/This changes what is in namespace .* Go on\? \[y\/N\] /);
    asked.types(`${answer}\r`);
    const { code: ended, screen } = await asked.ended();
    expect(screen).toMatch(told);
    expect(ended).toBe(code);
  });

  test("Ctrl-C at the question does nothing", async () => {
    const asked = new Session("restore shop interrupted --from daily --existing-resource-policy update");
    await asked.shows(/\[y\/N\] /);
    asked.types("\u0003");
    expect(await asked.ended()).toMatchObject({ code: 130 });
    const found = fixture.client.get(operations, { namespace: fixture.tenant, name: "interrupted" });
    await expect(found).rejects.toThrow("not found");
  });

  test.each([120, 40, 20])("a watch keeps its line of progress within %d columns", async (columns) => {
    const name = `narrow-${columns}`;
    await fixture.operation({ name });
    await fixture.report(name, waits);
    const watch = new Session(`watch ${name}`, { columns });
    await watch.shows(/Waiting/);
    const progress = { itemsCompleted: 10, itemsTotal: 300, bytesCompleted: 1e8, bytesTotal: 1e9, percent: 13 };
    const conditions = [
      { type: "Accepted", status: "True", reason: "TemplateValidated", message: "" },
      { type: "Running", status: "True", reason: "VeleroBackupInProgress", message: "" },
    ] as const;
    await fixture.report(name, { phase: "Running", conditions, progress });
    await watch.shows(columns > 20 ? /Running +13 %/ : /Running/);
    await fixture.succeed(name);
    const { code, screen } = await watch.ended();
    expect(code).toBe(0);
    // Each is written over the one before.
    const lines = screen
      .split("\r\u001b[2K")
      .slice(1)
      .map((line) => line.split("\r")[0] ?? "");
    expect(lines.some((line) => /^narrow-.*Running|^Running/.test(line))).toBe(true);
    // A transition is a line of its own, as long as it has to be.
    const progressLines = lines.filter((line) => !/^\d\d:\d\d:\d\d /.test(line));
    expect(progressLines.filter((line) => line.length >= columns)).toEqual([]);
  });

  test("a watch goes by the window's width as it is now, and ends at Ctrl-C after that as well", async () => {
    await fixture.operation({ name: "resized" });
    const progress = (percent: number) => ({ itemsCompleted: percent, itemsTotal: 100, percent });
    const conditions = [
      { type: "Accepted", status: "True", reason: "TemplateValidated", message: "" },
      { type: "Running", status: "True", reason: "VeleroBackupInProgress", message: "" },
    ] as const;
    await fixture.report("resized", { phase: "Running", conditions, progress: progress(10) });
    const watch = new Session("watch resized", { columns: 100 });
    await watch.shows(/resized +Running +10 % +10 of 100 items/);
    watch.resize(24);
    watch.wipe();
    // It draws its line anew each second.
    await watch.shows(/\[2Kresized {2}Running {2}10 %\r/);
    watch.wipe();
    await fixture.report("resized", { progress: progress(20) });
    await watch.shows(/\[2Kresized {2}Running {2}20 %\r/);
    watch.resize(100);
    await watch.shows(/resized +Running +20 % +20 of 100 items/);
    watch.types("\u0003");
    const { code, screen } = await watch.ended();
    expect(code).toBe(130);
    expect(screen).toContain("operation/resized goes on");
  });

  test("Ctrl-C ends a watch, and the Operation goes on", async () => {
    await fixture.operation({ name: "goes-on" });
    await fixture.report("goes-on", waits);
    const watch = new Session("watch goes-on");
    await watch.shows(/Waiting/);
    watch.types("\u0003");
    const { code, screen } = await watch.ended();
    expect(code).toBe(130);
    expect(screen).toContain("operation/goes-on goes on");
  });

  test("there are colours, but for who wants none", async () => {
    await fixture.operation({ name: "colours" });
    const bold = "\u001b[1m";
    expect((await new Session("describe colours").ended()).screen).toContain(bold);
    expect((await new Session("describe colours", { env: { NO_COLOR: "1" } }).ended()).screen).not.toContain(bold);
    expect((await new Session("describe colours --color never").ended()).screen).not.toContain(bold);
  });
});
