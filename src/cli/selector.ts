import { UsageError } from "./exit.ts";

/** Kubernetes' LabelSelector, as far as a text can say it. */
export interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
    readonly values?: readonly string[];
  }[];
}

const EQUALS = /^([^\s!=(),]+)\s*==?\s*([^\s!=(),]*)$/;
const DIFFERS = /^([^\s!=(),]+)\s*!=\s*([^\s!=(),]*)$/;
const AMONG = /^([^\s!=(),]+)\s+(in|notin)\s*\(([^()]*)\)$/;
const EXISTS = /^(!?)\s*([^\s!=(),]+)$/;

/**
 * Reads a selector as kubectl's `-l` has it: `app=shop,tier!=cache,env in (a,b),!legacy`. What keys and values may be is for
 * the schema to say.
 *
 * @throws UsageError naming the part that cannot be read
 */
export function parseSelector(text: string): Selector {
  const labels: Record<string, string> = {};
  const expressions: NonNullable<Selector["matchExpressions"]>[number][] = [];
  // Commas inside of parentheses are between values.
  for (const part of text.split(/,(?![^()]*\))/).map((each) => each.trim())) {
    const [, key, value] = EQUALS.exec(part) ?? [];
    const [, other, unwanted] = DIFFERS.exec(part) ?? [];
    const [, among, word, list] = AMONG.exec(part) ?? [];
    const [, not, name] = EXISTS.exec(part) ?? [];
    if (key !== undefined && value !== undefined) {
      if (Object.hasOwn(labels, key) && labels[key] !== value) {
        throw new UsageError(`--selector: "${text}" asks for two values of ${key}; nothing has both`);
      }
      labels[key] = value;
    } else if (other !== undefined && unwanted !== undefined) {
      expressions.push({ key: other, operator: "NotIn", values: [unwanted] });
    } else if (among !== undefined && list !== undefined) {
      const values = list.split(",").map((each) => each.trim());
      expressions.push({ key: among, operator: word === "in" ? "In" : "NotIn", values });
    } else if (name !== undefined) {
      expressions.push({ key: name, operator: not === "!" ? "DoesNotExist" : "Exists" });
    } else {
      throw new UsageError(
        `--selector: "${part}" must be "key=value", "key!=value", "key in (a,b)", "key notin (a,b)", "key" or "!key"`,
      );
    }
  }
  return {
    ...(Object.keys(labels).length > 0 && { matchLabels: labels }),
    ...(expressions.length > 0 && { matchExpressions: expressions }),
  };
}
