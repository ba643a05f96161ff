import type { Cluster } from "../cluster/cluster.ts";

/** Velero's own command line: the second opinion on what our outputs say. */

/** Runs `velero <args>` as the cluster's administrator. Throws with Velero's words when it fails. */
export async function velero(cluster: Cluster, args: readonly string[]): Promise<string> {
  const answer = await cluster.velero(args);
  if (answer.code !== 0) throw new Error(`velero ${args.join(" ")}: ${answer.stderr}`);
  return answer.stdout;
}

/** One part of `velero ... describe --details`: from its heading to the next that is not indented. */
function section(description: string, heading: string): string[] {
  const lines = description.split("\n");
  const start = lines.findIndex((line) => line.startsWith(`${heading}:`));
  if (start < 0) return [];
  const end = lines.findIndex((line, at) => at > start && /^\S/.test(line));
  return lines.slice(start + 1, end < 0 ? undefined : end).filter((line) => line.trim() !== "");
}

/**
 * The messages under `Warnings:` or `Errors:`, each as `scope: message`, in a stable order.
 */
export function describedResults(description: string, heading: "Warnings" | "Errors"): string[] {
  const messages: string[] = [];
  let scope = "";
  for (const line of section(description, heading)) {
    const head = /^ +(\S+): +(.*)$/.exec(line);
    const depth = line.search(/\S/);
    // A scope stands at two or four spaces; further messages of the same scope are indented deeper.
    if (head !== null && depth <= 4) {
      scope = (head[1] ?? "").replace(/^(Velero|Cluster)$/, (name) => name.toLowerCase());
      const message = head[2] ?? "";
      if (message !== "<none>" && message !== "") messages.push(`${scope}: ${message.trim()}`);
    } else if (/^ +Namespaces: *(<none>)?$/.test(line)) {
      scope = "";
    } else {
      messages.push(`${scope}: ${line.trim()}`);
    }
  }
  return messages.sort();
}

/** How many items stand under `Resource List:` of a restore, by what became of them: `{ created: 5, skipped: 4 }`. */
export function describedFates(description: string): Record<string, number> {
  const fates: Record<string, number> = {};
  for (const line of section(description, "Resource List")) {
    const fate = /^ +- .*\((\w+)\)$/.exec(line)?.[1];
    if (fate !== undefined) fates[fate] = (fates[fate] ?? 0) + 1;
  }
  return fates;
}
