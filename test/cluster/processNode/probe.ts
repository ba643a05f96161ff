import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { V1Probe } from "@kubernetes/client-node";

/** The container port a probe asks, by number or by name; undefined for a kind of probe that is not honoured. */
export function probePort(probe: V1Probe | undefined): number | string | undefined {
  return probe?.httpGet?.port ?? probe?.tcpSocket?.port;
}

/**
 * Probes a container on its loopback port, with the probe's period, timeout and thresholds, and reports each change of
 * readiness, until the signal aborts. A container starts unready.
 */
export async function watchReadiness(
  probe: V1Probe,
  port: number,
  changed: (ready: boolean) => void,
  signal: AbortSignal,
): Promise<void> {
  const { initialDelaySeconds = 0, periodSeconds = 10, timeoutSeconds = 1 } = probe;
  const { successThreshold = 1, failureThreshold = 3 } = probe;
  const pause = (seconds: number) => delay(seconds * 1000, undefined, { signal }).catch(() => undefined);
  let ready = false;
  let inRow = 0;
  let last: boolean | undefined;
  await pause(initialDelaySeconds);
  while (!signal.aborted) {
    const result = await attempt(probe, port, AbortSignal.any([signal, AbortSignal.timeout(timeoutSeconds * 1000)]));
    if (signal.aborted) return;
    inRow = result === last ? inRow + 1 : 1;
    last = result;
    if (result !== ready && inRow >= (result ? successThreshold : failureThreshold)) {
      ready = result;
      changed(ready);
    }
    await pause(periodSeconds);
  }
}

function attempt({ httpGet, tcpSocket }: V1Probe, port: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (httpGet !== undefined) {
      const request = httpGet.scheme === "HTTPS" ? httpsRequest : httpRequest;
      const headers = Object.fromEntries((httpGet.httpHeaders ?? []).map(({ name, value }) => [name, value]));
      const asked = request(
        {
          host: "127.0.0.1",
          port,
          path: httpGet.path ?? "/",
          headers,
          signal,
          rejectUnauthorized: false,
          agent: false,
        },
        (response) => {
          response.resume();
          const code = response.statusCode ?? 0;
          resolve(code >= 200 && code < 400);
        },
      );
      asked.on("error", () => resolve(false));
      asked.end();
    } else if (tcpSocket !== undefined) {
      const socket = connect({ host: "127.0.0.1", port, signal });
      socket.on("error", () => resolve(false));
      socket.on("connect", () => {
        socket.destroy();
        resolve(true);
      });
    } else resolve(true);
  });
}
