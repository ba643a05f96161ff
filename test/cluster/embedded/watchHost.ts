import { spawn } from "node:child_process";
import path from "node:path";

/**
 * A shell that waits for the end of its input. When the word "done" came
 * first, the cluster was taken down in good order; without it our process died
 * (SIGKILL, out of memory), and what it left behind is swept away.
 */
const script = 'read -r word; [ "$word" = done ] || exec "$@"';

/** Cleans up after this process, however it dies. */
export interface HostWatcher {
  readonly pid: number;
  /** The cluster is gone: nothing to do any more. Resolves when the watcher is gone too. */
  dismiss(): Promise<void>;
}

/** Starts the watcher of this process, the host of the cluster in `folder`. It costs a sleeping shell until it is needed. */
export function watchHost(folder: string): HostWatcher {
  const program = path.join(import.meta.dirname, "cleanUpAfterHost.ts");
  const child = spawn("/bin/sh", ["-c", script, "sh", process.execPath, program, folder], {
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  if (child.pid === undefined) throw new Error("the watcher of the test cluster's host could not be started");
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    pid: child.pid,
    async dismiss() {
      child.stdin.end("done\n");
      await exited;
    },
  };
}
