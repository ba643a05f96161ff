import { HttpMethod } from "@kubernetes/client-node/dist/gen/http/http.js";
import type { Operation } from "../../api/operation.ts";
import { inOrder } from "../../api/order.ts";
import { backups, downloadRequests, isBackup, restores, type VeleroObject } from "../../api/velero.ts";
import { isNotFound } from "../../kube/errors.ts";
import { pathOf, type Resource } from "../../kube/resource.ts";
import { type Pod, pods } from "../../kube/resources.ts";
import { type Context, readOperation } from "../context.ts";
import { eventLines } from "../description.ts";
import { Exit } from "../exit.ts";
import { formatted } from "../output.ts";
import { eventsOf, podsOf } from "../platformView.ts";
import { insistOn, may } from "../rights.ts";
import { printable } from "../terminal.ts";
import { readVeleroFile } from "../veleroFile.ts";

export interface LogsOptions {
  readonly follow?: boolean;
  readonly velero?: boolean;
}

/** The container of the runner in its pod. */
const CONTAINER = "runner";

/** Shows the runner's log; where the caller may not read it, or it is gone, what the Operation and its Events say. */
export async function logs(name: string, options: LogsOptions, context: Context): Promise<number> {
  const operation = await readOperation(context, name);
  if (options.velero) return await veleroLog(operation, context);
  const pod = await newestPod(operation, context);
  if (typeof pod === "string") return await instead(operation, pod, context);
  const { access, terminal, interrupt } = context;
  const { namespace, name: podName } = pod.metadata;
  const text = access.transport.parts({
    method: HttpMethod.GET,
    path: pathOf(pods, { namespace, name: podName, subresource: "log" }),
    query: { container: CONTAINER, follow: options.follow },
    accept: "text/plain, application/json",
    call: `read log of pods ${namespace}/${podName}`,
    signal: interrupt,
  });
  let rest = "";
  for await (const part of text) {
    const lines = `${rest}${part}`.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) terminal.out(printable(line));
  }
  if (rest !== "") terminal.out(printable(rest));
  return Exit.done;
}

/** @returns why there is none to read, where that is so */
async function newestPod(operation: Operation, context: Context): Promise<Pod | string> {
  const { jobNamespace } = operation.status?.runner ?? {};
  if (jobNamespace === undefined) return "no runner was made for it yet";
  const found = await podsOf(operation, context);
  const right = { verb: "get", resource: pods, subresource: "log", namespace: jobNamespace } as const;
  if (found === undefined || !(await may(context.access, right, context.interrupt))) {
    return `there is no right to read logs in namespace ${jobNamespace}`;
  }
  const [newest] = found.toSorted((one, other) =>
    inOrder(other.metadata.creationTimestamp, one.metadata.creationTimestamp),
  );
  return newest ?? "the runner's pod is gone";
}

async function instead(operation: Operation, why: string, context: Context): Promise<number> {
  const { terminal, now } = context;
  terminal.err(`no log: ${why}; this is what the Operation and its Events say`);
  const { conditions, outputs } = operation.status ?? {};
  const told = {
    conditions: conditions?.map(({ type, status, reason, message }) => ({ type, status, reason, message })) ?? [],
    ...(outputs && { outputs }),
  };
  for (const line of formatted(told, "yaml").split("\n")) terminal.out(printable(line));
  for (const line of eventLines(await eventsOf(operation, context), now(), terminal.style.bind(terminal))) {
    terminal.out(line);
  }
  return Exit.done;
}

async function veleroLog({ metadata, status }: Operation, context: Context): Promise<number> {
  const { access, terminal, interrupt } = context;
  const { kind, namespace, name, uid } = status?.engineRef ?? {};
  const own = `operation/${metadata.name}`;
  if (namespace === undefined || name === undefined) throw new Error(`${own} has no Backup or Restore of Velero's yet`);
  const resource: Resource<VeleroObject> = kind === restores.kind ? restores : backups;
  const deeds = [
    { verb: "get", resource, namespace },
    { verb: "create", resource: downloadRequests, namespace },
  ] as const;
  await insistOn(deeds, "Velero's log", context);
  const object = await access.client
    .get(resource, { namespace, name }, { signal: interrupt })
    .catch((error: unknown) => {
      if (isNotFound(error)) throw new Error(`${kind} ${namespace}/${name} of ${own} is gone`, { cause: error });
      throw error;
    });
  if (uid !== undefined && object.metadata.uid !== uid) {
    throw new Error(`${kind} ${namespace}/${name} is not that of ${own}: another one has its name`);
  }
  const text = await readVeleroFile(isBackup(object) ? "BackupLog" : "RestoreLog", object, context);
  for (const line of text.trimEnd().split("\n")) terminal.out(printable(line));
  return Exit.done;
}
