import { cutToBytes } from "../kube/cut.ts";
import { isTooLarge } from "../kube/errors.ts";
import { cutList } from "./cutList.ts";
import { shortHistory } from "./history.ts";
import type { Status } from "./operation.ts";

/**
 * What is kept of a status that is too large, less each time: bytes of each list in the outputs, attempts in the
 * history, bytes of each message.
 */
const FORMS = [
  { listBytes: 16 * 1024, attempts: 20, messageBytes: 1024 },
  { listBytes: 1024, attempts: 3, messageBytes: 1024 },
  { listBytes: 0, attempts: 0, messageBytes: 128 },
] as const;

const WHERE = "the API server's store has no room for more of this Operation";

/**
 * Writes a status. If the API server's store has no room for it, writes less and less of it: the result of an Operation
 * matters more than its warnings. Each list was cut to 256 KiB before (cutList.ts). docs/contract.md#status-size.
 *
 * @param write tries once to write a status; it may fail as too large only because of that status
 * @throws what the last try throws
 */
export async function writeFitting<T>(status: Status, write: (status: Status) => Promise<T>): Promise<T> {
  for (const form of [undefined, ...FORMS]) {
    try {
      return await write(form === undefined ? status : smaller(status, form));
    } catch (error) {
      if (!isTooLarge(error) || form === FORMS.at(-1)) throw error;
    }
  }
  throw new Error("the last form either succeeds or throws");
}

function smaller(status: Status, { listBytes, attempts, messageBytes }: (typeof FORMS)[number]): Status {
  const outputs = Object.entries(status.outputs ?? {}).map(([name, value]) => {
    const entries = Array.isArray(value) ? value.map(String) : undefined;
    return [name, entries === undefined || entries.length === 0 ? value : cutList(entries, WHERE, listBytes)];
  });
  return {
    ...status,
    ...(status.outputs && { outputs: Object.fromEntries(outputs) }),
    ...(status.history && shortHistory(status, attempts)),
    ...(status.conditions && {
      conditions: status.conditions.map((one) => ({ ...one, message: cutToBytes(one.message, messageBytes) })),
    }),
  };
}
