import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { V1ConfigMap, V1Container, V1Pod, V1Secret } from "@kubernetes/client-node";
import type { Logger } from "pino";
import { ConfigError, type EnvSources, envReferences, expand, resolveEnv } from "./env.ts";
import { findImage, type Images } from "./images.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import type { NamespaceObjects } from "./objects.ts";
import { type Mount, translatePaths } from "./paths.ts";
import { probePort, watchReadiness } from "./probe.ts";
import { type RunningProcess, startProcess } from "./process.ts";
import { type ContainerRecord, restartDelay, restarts } from "./status.ts";
import { terminationMessage } from "./termination.ts";

const TOKEN_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** What the containers of one pod share. */
export interface PodSetting {
  readonly pod: V1Pod;
  /** The pod's folder: working directory and HOME of its processes. */
  readonly folder: string;
  readonly volumes: ReadonlyMap<string, string>;
  readonly ports: ReadonlyMap<number, number>;
  readonly images: Images;
  readonly objects: NamespaceObjects;
  /** Address of the API server, for the kubeconfig that carries the pod's token. */
  readonly server: string;
  /** PATH of every process. */
  readonly searchPath: string;
  readonly log: Logger;
  /** Aborts when the pod is to end: nothing is started any more. */
  readonly ending: AbortSignal;
  /** To be called after each change of a record. */
  changed(): void;
}

/** Where the log of a container's nth run lies. */
export function logFile(folder: string, container: string, restart: number): string {
  return join(folder, "logs", container, `${restart}.log`);
}

/**
 * Runs one container until it needs no further restart (`policy`) or the pod ends, keeping its record up to date.
 * `started` is told of every process.
 */
export async function runContainer(
  setting: PodSetting,
  record: ContainerRecord,
  policy: string | undefined,
  started: (process: RunningProcess) => void,
): Promise<void> {
  const { ending, changed } = setting;
  const { name } = record.spec;
  while (record.state.terminated === undefined && !ending.aborted) {
    const prepared = await prepare(setting, record);
    if (prepared === undefined || ending.aborted) return;
    const process = startProcess({ ...prepared, cwd: setting.folder });
    started(process);
    const startedAt = new Date();
    setting.log.debug({ container: name, process: process.pid, command: prepared.command }, "container started");
    record.containerID = `process://${process.pid ?? 0}`;
    record.state = { running: { startedAt } };
    const probing = new AbortController();
    void followReadiness(setting, record, probing.signal);
    changed();
    const { exitCode, startError } = await process.exited;
    probing.abort();
    const { terminationMessagePolicy } = record.spec;
    const message =
      startError ??
      (await terminationMessage(exitCode, terminationMessagePolicy, prepared.messageFile, prepared.logFile));
    record.ready = false;
    record.state = {
      terminated: {
        exitCode,
        reason: startError !== undefined ? "StartError" : exitCode === 0 ? "Completed" : "Error",
        ...(message === undefined ? {} : { message }),
        containerID: record.containerID,
        startedAt,
        finishedAt: new Date(),
      },
    };
    setting.log.debug({ container: name, exitCode }, "container ended");
    changed();
    if (ending.aborted || !restarts(policy, exitCode)) return;
    await backOff(setting, record);
  }
}

async function backOff({ pod, ending, changed }: PodSetting, record: ContainerRecord): Promise<void> {
  const wait = restartDelay(record.restartCount + 1);
  const { name = "", namespace = "", uid = "" } = pod.metadata ?? {};
  const terminated = record.state;
  if (wait > 0) {
    record.lastState = terminated;
    const failed = `container=${record.spec.name} pod=${name}_${namespace}(${uid})`;
    record.state = {
      waiting: { reason: "CrashLoopBackOff", message: `back-off ${wait / 1000}s restarting failed ${failed}` },
    };
    changed();
    await delay(wait, undefined, { signal: ending }).catch(() => undefined);
  }
  if (ending.aborted) {
    record.state = terminated;
    return;
  }
  record.lastState = terminated;
  record.state = {};
  record.restartCount += 1;
}

interface Prepared {
  command: readonly string[];
  env: Record<string, string>;
  logFile: string;
  messageFile: string;
}

/** Pulls the image and configures the container, showing why it waits; undefined when the pod ends first. */
async function prepare(setting: PodSetting, record: ContainerRecord): Promise<Prepared | undefined> {
  const { images, ending, changed } = setting;
  const image = record.spec.image ?? "";
  for (let attempt = 1; !ending.aborted; attempt++) {
    const entry = findImage(images, image);
    if (entry === undefined) {
      const reason = `failed to pull and unpack image "${image}": the process node has no entry for it: not found`;
      await wait("ErrImagePull", reason, 300);
      await wait(
        "ImagePullBackOff",
        `Back-off pulling image "${image}": ErrImagePull: ${reason}`,
        restartDelay(attempt + 2),
      );
      continue;
    }
    try {
      return await configure(setting, record, entry);
    } catch (error) {
      const reason = error instanceof ConfigError ? "CreateContainerConfigError" : "CreateContainerError";
      await wait(reason, error instanceof Error ? error.message : String(error), 1000);
    }
  }
  return undefined;

  async function wait(reason: string, message: string, ms: number): Promise<void> {
    record.state = { waiting: { reason, message } };
    changed();
    await delay(ms, undefined, { signal: ending }).catch(() => undefined);
  }
}

async function configure(setting: PodSetting, record: ContainerRecord, entry: Images[string]): Promise<Prepared> {
  const { pod, folder, ports } = setting;
  const { spec } = record;
  const own = await resolveEnv(spec, pod, await readSources(spec, setting.objects));
  const messageFile = join(folder, "termination", `${spec.name}-${record.restartCount}`);
  const mounts = mountsOf(spec, setting.volumes, own, messageFile);
  const local = (text: string): string => translatePaths(text, mounts);
  const words = (list: string[] | undefined): string[] => (list ?? []).map((word) => local(expand(word, own)));
  const env = Object.fromEntries(Object.entries(own).map(([key, value]) => [key, local(value)]));

  const process = entry({
    pod,
    container: { name: spec.name, image: spec.image ?? "", command: words(spec.command), args: words(spec.args), env },
    path: local,
    port(containerPort) {
      const port = ports.get(containerPort);
      if (port === undefined) throw new Error(`container ${spec.name} declares no port ${containerPort}`);
      return port;
    },
  });

  const log = logFile(folder, spec.name, record.restartCount);
  const temporary = mounts.find(({ mountPath }) => mountPath === "/tmp")?.localPath ?? join(folder, "tmp");
  for (const each of [join(folder, "logs", spec.name), join(folder, "termination"), temporary])
    await mkdir(each, { recursive: true });
  await writeFile(messageFile, "");
  const tokenFolder = mounts.find(({ mountPath }) => mountPath === TOKEN_MOUNT)?.localPath;
  const kubeconfig =
    tokenFolder === undefined ? {} : { KUBECONFIG: await writeKubeconfig(setting, spec.name, tokenFolder) };
  return {
    command: process.command,
    env: {
      PATH: setting.searchPath,
      HOME: folder,
      TMPDIR: temporary,
      TERMINATION_MESSAGE_PATH: messageFile,
      ...kubeconfig,
      ...env,
      ...process.env,
    },
    logFile: log,
    messageFile,
  };
}

function mountsOf(
  spec: V1Container,
  volumes: ReadonlyMap<string, string>,
  env: Record<string, string>,
  messageFile: string,
): Mount[] {
  const mounts = (spec.volumeMounts ?? []).map(({ name, mountPath, subPath, subPathExpr }) => {
    const folder = volumes.get(name);
    if (folder === undefined) throw new ConfigError(`no volume named "${name}"`);
    return {
      mountPath,
      localPath: join(folder, subPathExpr === undefined ? (subPath ?? "") : expand(subPathExpr, env)),
    };
  });
  return [...mounts, { mountPath: spec.terminationMessagePath ?? "/dev/termination-log", localPath: messageFile }];
}

async function readSources(spec: V1Container, objects: NamespaceObjects): Promise<EnvSources> {
  const names = envReferences(spec);
  const configMaps = new Map<string, V1ConfigMap>();
  const secrets = new Map<string, V1Secret>();
  for (const name of names.configMaps) {
    const found = await objects.configMap(name);
    if (found !== undefined) configMaps.set(name, found);
  }
  for (const name of names.secrets) {
    const found = await objects.secret(name);
    if (found !== undefined) secrets.set(name, found);
  }
  return { configMaps, secrets };
}

async function followReadiness(setting: PodSetting, record: ContainerRecord, signal: AbortSignal): Promise<void> {
  const { readinessProbe, ports = [] } = record.spec;
  const asked = probePort(readinessProbe);
  const number = typeof asked === "string" ? ports.find(({ name }) => name === asked)?.containerPort : asked;
  const port = number === undefined ? undefined : setting.ports.get(number);
  if (readinessProbe === undefined || port === undefined) {
    record.ready = true;
    return;
  }
  const changed = (ready: boolean): void => {
    record.ready = ready;
    setting.changed();
  };
  await watchReadiness(readinessProbe, port, changed, AbortSignal.any([signal, setting.ending]));
}
