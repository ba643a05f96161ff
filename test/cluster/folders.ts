import os from "node:os";
import path from "node:path";

/** Built programs, safe to delete: `OPERATION_RUNNER_CACHE`, else operation-runner in the XDG cache folder. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  return (
    env.OPERATION_RUNNER_CACHE || path.join(env.XDG_CACHE_HOME || path.join(os.homedir(), ".cache"), "operation-runner")
  );
}

/** What the command line remembers about the cluster it keeps: operation-runner in the XDG state folder. */
export function stateFolder(env: NodeJS.ProcessEnv): string {
  return path.join(env.XDG_STATE_HOME || path.join(os.homedir(), ".local", "state"), "operation-runner");
}
