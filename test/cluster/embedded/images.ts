import type { ContainerContext, Images } from "../processNode/images.ts";

export interface ImageOptions {
  readonly programs: Readonly<Record<"velero" | "velero-plugin-for-aws", string>>;
  /** The bundled operation-runner. */
  readonly operationRunner: string;
  /** Folder with a short path, for Unix sockets. */
  readonly sockets: string;
  /**
   * The object store's keys, for Velero's plugin beside those in the storage location's Secret: Velero writes these into a
   * file anew each time, and a plugin that reads it in that moment finds none. Seen once in some fifty backups.
   */
  readonly credentials: Readonly<Record<"AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY", string>>;
  /** Variables that mark each process as part of the cluster. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Which local program stands for which image. The containers of this cluster
 * share one network, so what listens gets a free loopback port instead of its own.
 */
export function images({ programs, operationRunner, credentials, sockets, env }: ImageOptions): Images {
  return {
    "ghcr.io/vworkspace-io/operation-runner": (context) => ({
      command: [process.execPath, operationRunner, ...context.container.args],
      // The first as the Dockerfile sets it.
      env: { MALLOC_ARENA_MAX: "1", ...env, ...listen(context) },
    }),
    "velero/velero": ({ container, port }) => ({
      // The last of two equal flags wins: the manifest's own arguments stay as they are.
      command: [
        programs.velero,
        ...container.args,
        `--metrics-address=127.0.0.1:${port(8085)}`,
        "--profiler-address=",
        // Otherwise 10 s per step of an asynchronous operation: fine for a data centre, long for a test.
        "--item-operation-sync-frequency=1s",
      ],
      // A Unix socket's path has 108 bytes at most (104 on macOS), and the folder of a pod's volume takes most of them.
      env: { ...env, ...credentials, PLUGIN_UNIX_SOCKET_DIR: sockets },
    }),
    // Upstream's image copies its plugin into /target and exits.
    "velero/velero-plugin-for-aws": ({ path }) => ({
      command: ["cp", programs["velero-plugin-for-aws"], path("/target")],
      env,
    }),
    // Stands for any application: it runs until it is told to end.
    "operation-runner.test/application": () => ({
      command: [
        process.execPath,
        "-e",
        "process.once('SIGTERM', () => process.exit(0)); setInterval(() => {}, 2 ** 30);",
      ],
      env,
    }),
  };
}

/** The address to listen on, for a container that declares a port. */
function listen({ pod, container, port }: ContainerContext): Record<string, string> {
  const declared = pod.spec?.containers.find(({ name }) => name === container.name)?.ports?.[0]?.containerPort;
  return declared === undefined ? {} : { OPERATION_RUNNER_LISTEN: `127.0.0.1:${port(declared)}` };
}
