import type { AuditEvent } from "../cluster/audit.ts";
import type { Progress } from "../cluster/progress.ts";
import { SYSTEM_NAMESPACE } from "../scenario/platform.ts";
import type { Figure, Section } from "./figures.ts";
import { quantile } from "./statistics.ts";
import { type Bench, byOperation } from "./ways.ts";

const ACCOUNTS: Readonly<Record<string, string>> = {
  [`system:serviceaccount:${SYSTEM_NAMESPACE}:operation-dispatcher`]: "dispatcher",
  [`system:serviceaccount:${SYSTEM_NAMESPACE}:operation-backup-runner`]: "runner",
};

/**
 * What both programs ask the API server while one backup is carried out in which nothing goes wrong, by the API server's
 * audit log: from when it is asked for until its Job is over.
 */
export async function measureRequests(
  bench: Bench,
  namespace: string,
  rounds: number,
  progress: Progress,
): Promise<Section> {
  const spans: { from: number; to: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    progress(`requests: quiet backup ${round + 1} of ${rounds}`);
    const name = `requests-${round}`;
    const from = Date.now();
    await byOperation(bench, { namespace, name });
    await bench.sightings.until(`Job ${namespace}/${name} ended`, AbortSignal.timeout(30_000));
    spans.push({ from, to: Date.now() });
  }
  const audit = await bench.cluster.audit();
  const backups = spans.map(({ from, to }) => requestsOf(audit, from, to));
  const kinds = [...new Set(backups.flat())].sort();
  const counts = (kind: string) => backups.map((requests) => requests.filter((each) => each === kind).length);
  const figures = kinds.flatMap((kind): Figure[] => {
    const samples = counts(kind);
    // What came by chance, such as a watch that began anew, is no part of a backup.
    return quantile(samples, 0.5) > 0 ? [{ what: `  ${kind}`, unit: "", samples }] : [];
  });
  const all = backups.map((requests) => requests.length);
  return {
    title: "API requests of one quiet backup",
    figures: [{ what: "both programs", unit: "", samples: all, goal: "<= 16" }, ...figures],
  };
}

/**
 * Each request of the two programs in that time, such as `runner create backups`. A watch counts when it begins; the
 * dispatcher's Lease, which it renews whether or not there is a backup, does not.
 */
export function requestsOf(audit: readonly AuditEvent[], from: number, to: number): string[] {
  return audit.flatMap(({ user, verb, stage, objectRef, requestURI, requestReceivedTimestamp }) => {
    const program = ACCOUNTS[user.username];
    const at = Date.parse(requestReceivedTimestamp);
    if (program === undefined || at < from || at > to) return [];
    if (objectRef?.resource === "leases") return [];
    if (stage !== (verb === "watch" ? "ResponseStarted" : "ResponseComplete")) return [];
    const resource = [objectRef?.resource, objectRef?.subresource].filter((part) => part !== undefined && part !== "");
    return [`${program} ${verb} ${resource.length > 0 ? resource.join("/") : requestURI}`];
  });
}
