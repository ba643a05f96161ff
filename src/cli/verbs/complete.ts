import { applicationInstances } from "../../api/applicationInstance.ts";
import { type Operation, operations } from "../../api/operation.ts";
import { Reason } from "../../api/reasons.ts";
import { namespaces } from "../../kube/resources.ts";
import { type Names, type Wanted, wanted } from "../completion.ts";
import type { Context } from "../context.ts";
import { Exit } from "../exit.ts";
import { contextNames } from "../kubeconfig.ts";
import { may } from "../rights.ts";
import { hasEnded, situationOf } from "../situation.ts";

/** No file names, in the protocol of kubectl's plugins: whatever fits is what is printed. */
const NO_FILES = ":4";
/** Nobody waits longer for a suggestion, in milliseconds. */
const PATIENCE_MS = 2000;

/**
 * Prints what could stand at the end of a command line, one a line. Trouble of any kind is no suggestion, and no word.
 *
 * @param open opens the cluster that the words name
 */
export async function complete(
  root: Parameters<typeof wanted>[0],
  words: readonly string[],
  open: () => Promise<Context>,
): Promise<number> {
  const asked = wanted(root, words);
  for (const each of await resolved(asked, words.at(-1) ?? "", open)) process.stdout.write(`${each}\n`);
  process.stdout.write(`${NO_FILES}\n`);
  return Exit.done;
}

async function resolved(asked: Wanted, current: string, open: () => Promise<Context>): Promise<readonly string[]> {
  if (asked.kind === "values") return asked.values;
  try {
    const context = await open();
    const interrupt = AbortSignal.any([context.interrupt, AbortSignal.timeout(PATIENCE_MS)]);
    const names = await namesOf(asked.names, { ...context, interrupt });
    return [...new Set(names)].filter((name) => name.startsWith(current) && !asked.typed.includes(name)).sort();
  } catch {
    return [];
  }
}

async function namesOf(names: Names, context: Context): Promise<string[]> {
  const { access, interrupt } = context;
  const listed = async () =>
    (
      await access.client.list(
        operations,
        { namespace: access.namespace },
        { signal: interrupt, onMalformed: () => {} },
      )
    ).items;
  const those = async (fit: (operation: Operation) => boolean) =>
    (await listed()).filter(fit).map(({ metadata }) => metadata.name);
  switch (names) {
    case "contexts":
      return contextNames(access.config);
    case "namespaces": {
      const mayList = await may(access, { verb: "list", resource: namespaces, namespace: undefined }, interrupt);
      if (!mayList) return [access.namespace];
      return (await access.client.list(namespaces, {}, { signal: interrupt })).items.map(
        ({ metadata }) => metadata.name,
      );
    }
    case "targets": {
      const { namespace } = access;
      if (!(await may(access, { verb: "list", resource: applicationInstances, namespace }, interrupt))) {
        return (await listed()).flatMap(({ spec }) => spec?.targetRef.name ?? []);
      }
      const { items } = await access.client.list(applicationInstances, { namespace }, { signal: interrupt });
      return items.map(({ metadata }) => metadata.name);
    }
    case "operations":
      return await those(() => true);
    case "operations that have not ended":
      return await those((operation) => !hasEnded(situationOf(operation)));
    case "operations that failed":
      return await those(({ status }) => status?.phase === "Failed");
    case "operations that wait for approval":
      return await those((operation) => situationOf(operation).reason === Reason.awaitingApproval);
    case "successful backups":
      return await those(({ spec, status }) => spec?.type === "Backup" && status?.phase === "Succeeded");
  }
}
