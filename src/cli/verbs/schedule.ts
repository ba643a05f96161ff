import { isAlreadyExists } from "../../kube/errors.ts";
import type { Manifest } from "../../kube/metadata.ts";
import type { Resource } from "../../kube/resource.ts";
import type { Context } from "../context.ts";
import { Exit } from "../exit.ts";
import { type DryRun, reportChange, tryCreate, writeOptions } from "../mutation.ts";
import { formatted, nameOf, type ObjectFormat } from "../output.ts";
import { backupParameters } from "../requests.ts";
import { may } from "../rights.ts";
import {
  cronJobs,
  grantCommand,
  IMAGE,
  roleBindings,
  type ScheduleWish,
  scheduleFor,
  scheduleName,
  serviceAccounts,
  typedFlags,
} from "../schedule.ts";

export interface ScheduleOptions extends Pick<ScheduleWish, "cron" | "timeZone"> {
  readonly suspend?: boolean;
  readonly image?: string;
  readonly dryRun: DryRun;
  readonly output?: ObjectFormat;
  readonly [parameter: string]: unknown;
}

/** `schedule`: a CronJob in the namespace asks for a backup again and again. docs/cli.md#schedules. */
export async function schedule(
  target: string,
  name: string | undefined,
  options: ScheduleOptions,
  context: Context,
): Promise<number> {
  // Wrong values are told now, and not by a Job at night.
  backupParameters(options);
  const { namespace } = context.access;
  const { account, binding, cronJob } = scheduleFor({
    target,
    name: name ?? scheduleName(target),
    namespace,
    cron: options.cron,
    timeZone: options.timeZone,
    suspend: options.suspend === true,
    image: options.image ?? IMAGE,
    flags: typedFlags(options),
  });
  const { dryRun, output } = options;
  if (dryRun === "client") return printed([account, binding, cronJob], options, context);
  if (dryRun === "server") {
    return reportChange(await tryCreate(cronJobs, cronJob, context), "created", { dryRun, output }, context);
  }
  await createOrKeep(serviceAccounts, account, context);
  const deed = { verb: "create", resource: roleBindings, namespace } as const;
  const mayGrant = await may(context.access, deed, context.interrupt);
  if (mayGrant) await createOrKeep(roleBindings, binding, context);
  const created = await create(cronJobs, cronJob, context).catch((error: unknown) => {
    if (!isAlreadyExists(error)) throw error;
    const { name: taken } = cronJob.metadata;
    throw new Error(`there is a cronjob/${taken} already: change it by kubectl edit, or give another name`, {
      cause: error,
    });
  });
  if (!mayGrant) {
    context.terminal.err(
      `note: you may not grant rights here. If nobody has done so yet, an admin of the namespace has to run once: ${grantCommand(namespace)}`,
    );
  }
  return reportChange(created, "created", { dryRun, output }, context);
}

/** Nothing is sent: what would be is printed, to be kept in Git or piped to kubectl apply. */
function printed(objects: readonly Manifest[], { output, dryRun }: ScheduleOptions, context: Context): number {
  const { terminal } = context;
  if (output === "json" || output === "yaml") {
    terminal.out(formatted({ apiVersion: "v1", kind: "List", items: objects }, output));
    return Exit.done;
  }
  for (const object of objects) {
    if (output === "name") terminal.out(nameOf(object));
    else reportChange(object, "created", { dryRun }, context);
  }
  return Exit.done;
}

async function createOrKeep(resource: Resource, manifest: Manifest, context: Context): Promise<void> {
  await create(resource, manifest, context).catch((error: unknown) => {
    if (!isAlreadyExists(error)) throw error;
  });
}

async function create(resource: Resource, manifest: Manifest, context: Context) {
  return await context.access.client.create(resource, manifest, writeOptions(context));
}
