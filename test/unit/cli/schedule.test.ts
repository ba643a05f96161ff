import { Command } from "commander";
import { expect, test } from "vitest";
import { addFlags } from "../../../src/cli/flagOptions.ts";
import { backupFlags, type Flag } from "../../../src/cli/flags.ts";
import { backupParameters } from "../../../src/cli/requests.ts";
import { scheduleFor, scheduleName, typedFlags } from "../../../src/cli/schedule.ts";

const parsed = (...args: string[]): Record<string, unknown> =>
  addFlags(new Command().exitOverride(), backupFlags).parse(args, { from: "user" }).opts();

/** Something for every flag, as somebody would type it. */
function typed({ parameter, kind }: Flag, options: { readonly off: boolean }): string[] {
  const long = `--${parameter.replace(/([a-z])([A-Z]+)/g, "$1-$2").toLowerCase()}`;
  switch (kind) {
    case "switch":
      return [options.off ? `--no-${long.slice(2)}` : long];
    case "selector":
      return ["-l", "app=shop,tier!=cache"];
    case "list":
      return [long, "configmaps", long, "secrets"];
    case "text":
      return [long, /ttl|timeout/.test(long) ? "5m" : "value"];
  }
}

test.each([true, false])("each Operation of a schedule asks for what its flags say (switches off: %s)", (off) => {
  const once = parsed(...backupFlags.flatMap((flag) => typed(flag, { off })));
  expect(backupParameters(parsed(...typedFlags(once)))).toEqual(backupParameters(once));
});

test("a name that no CronJob can have is refused, and one that is made fits", () => {
  const wish = { target: "t", namespace: "n", cron: "@daily", suspend: false, image: "i", flags: [] };
  expect(() => scheduleFor({ ...wish, name: "a".repeat(53) })).toThrow(/has 52 characters at most/);
  expect(scheduleName("a".repeat(63))).toHaveLength(52);
  expect(scheduleName("shop")).toBe("shop-backup");
});

test("no Operation is owned by anything: what is kept is the team's, whatever becomes of the schedule", () => {
  const { account, binding, cronJob } = scheduleFor({
    target: "shop",
    name: "nightly",
    namespace: "org-a",
    cron: "0 2 * * *",
    timeZone: "Europe/Berlin",
    suspend: true,
    image: "image",
    flags: ["--ttl=72h"],
  });
  expect(cronJob).toMatchObject({ spec: { schedule: "0 2 * * *", timeZone: "Europe/Berlin", suspend: true } });
  expect(JSON.stringify([account, binding, cronJob])).not.toContain("ownerReferences");
});
