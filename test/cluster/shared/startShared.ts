import { mkdir, realpath } from "node:fs/promises";
import path from "node:path";
import { type Access, accessTo } from "../access.ts";
import type { DriverChoice } from "../driverChoice.ts";
import { stateFolder } from "../folders.ts";
import { imageOf } from "../images/images.ts";
import { ensureKind, whyNoKind } from "../kind/kind.ts";
import { loadImages } from "../kind/loadImages.ts";
import type { Progress } from "../progress.ts";
import { ensurePrograms } from "../toolchain/toolchain.ts";
import type { SharedConnection } from "./connection.ts";
import { kubectl } from "./kubernetesObjects.ts";
import { installObjectStore, TEST_NAMESPACE } from "./objectStore.ts";
import { rememberBefore, removeTraces } from "./traces.ts";

export interface SharedOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly progress: Progress;
}

export type SharedChoice = Exclude<DriverChoice, { driver: "embedded" }>;

/** Prepares a cluster that all test files are to share: images, object store. Safe to repeat. */
export async function startShared(choice: SharedChoice, options: SharedOptions): Promise<SharedConnection> {
  const impossible = choice.driver === "kind" ? await whyNoKind(options.env) : undefined;
  if (impossible !== undefined) throw new Error(`a kind cluster needs Docker: ${impossible}`);
  const connection = choice.driver === "kind" ? await ensureKind(options) : await existing(choice.kubeconfig, options);
  if (choice.driver === "kind") await loadImages(options);
  const access = accessOf(connection, options.env);
  await installObjectStore(access, await imageOf("versitygw"));
  await rememberBefore(access);
  return connection;
}

/** Leaves somebody else's cluster as it was before {@link startShared}; our own stays as it is, to be looked at and used again. */
export async function endShared(connection: SharedConnection, env: NodeJS.ProcessEnv): Promise<void> {
  if (connection.driver === "kind") return;
  const access = accessOf(connection, env);
  await removeTraces(access);
  await kubectl(access, ["delete", "namespace", TEST_NAMESPACE]);
}

function accessOf(connection: SharedConnection, env: NodeJS.ProcessEnv): Access {
  return accessTo({ ...connection, cache: path.join(connection.folder, "kubectl-cache") }, env);
}

async function existing(kubeconfig: string, { env, progress }: SharedOptions): Promise<SharedConnection> {
  const programs = await ensurePrograms(["kubectl"], { env, progress });
  const folder = path.join(stateFolder(env), "existing");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return {
    driver: "existing",
    kubeconfig: await realpath(kubeconfig),
    programs: path.dirname(programs.kubectl),
    folder,
  };
}
