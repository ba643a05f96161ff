import { rename, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { CoreV1Api, V1Pod, V1ServiceAccountTokenProjection } from "@kubernetes/client-node";
import type { Logger } from "pino";
import { errorLine } from "./errorLine.ts";

/** A token as the API server issued it. */
export interface IssuedToken {
  token: string;
  expires: Date;
}

/** Asks the API server for a token of the pod's ServiceAccount, bound to this pod: it ends with the pod. */
export async function requestToken(
  core: CoreV1Api,
  pod: V1Pod,
  projection: V1ServiceAccountTokenProjection,
): Promise<IssuedToken> {
  const { name = "", namespace = "", uid = "" } = pod.metadata ?? {};
  const { status } = await core.createNamespacedServiceAccountToken({
    name: pod.spec?.serviceAccountName ?? "default",
    namespace,
    body: {
      spec: {
        audiences: projection.audience === undefined ? [] : [projection.audience],
        expirationSeconds: projection.expirationSeconds ?? 3600,
        boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid },
      },
    },
  });
  if (status?.token === undefined || status.expirationTimestamp === undefined)
    throw new Error("the API server answered a TokenRequest without a token");
  return { token: status.token, expires: status.expirationTimestamp };
}

/** When a token is to be renewed: after four fifths of what is left of it, as a kubelet does. */
export function renewAt(issued: Date, expires: Date): Date {
  return new Date(issued.getTime() + 0.8 * (expires.getTime() - issued.getTime()));
}

/** Replaces the token in `file` before it expires, over and over, until the signal aborts. */
export async function keepToken(
  file: string,
  first: IssuedToken,
  request: () => Promise<IssuedToken>,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  let due = renewAt(new Date(), first.expires);
  while (!signal.aborted) {
    await delay(Math.max(0, due.getTime() - Date.now()), undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    try {
      const { token, expires } = await request();
      await writeFile(`${file}.new`, token, { mode: 0o600 });
      await rename(`${file}.new`, file);
      due = renewAt(new Date(), expires);
    } catch (error) {
      log.warn({ reason: errorLine(error) }, "token not renewed, trying again");
      due = new Date(Date.now() + 1000);
    }
  }
}
