import { parseArgs } from "node:util";
import { tier } from "./embedded/connection.ts";
import { type Kept, keptEmbedded, keptKind } from "./keptCluster.ts";
import { printProgress } from "./progress.ts";

const usage = `A Kubernetes cluster on this machine, for trying things out. Your own kubeconfig is neither read nor changed.

  npm run cluster -- up [--tier full|api]   start it, or say that it is up; "api" is the control plane alone
  npm run cluster -- status [-o json]       say whether it is up, and where; exit code 1 when it is not
  npm run cluster -- env                    print what a shell needs: eval "$(npm run -s cluster -- env)"
  npm run cluster -- down                   end it and remove its files

Each takes --driver kind for the cluster of containers that npm run test:kind uses; it needs Docker. "up" loads the images
and starts an object store, and installs nothing else.
`;

/** Wrong use, told apart from a cluster that does not start. */
class UsageError extends Error {}

/** Carries out one command line. Answers the exit code. */
async function main(args: string[]): Promise<number> {
  const { values, positionals } = parse(args);
  const [command, ...rest] = positionals;
  if (values.help || command === undefined || rest.length > 0) {
    if (!values.help) throw new UsageError("one command is needed");
    console.log(usage);
    return 0;
  }
  const driver = keptBy(values);
  const more = values.driver === "embedded" ? "" : ` --driver ${values.driver}`;
  const none = `No cluster is up. "npm run cluster -- up${more}" starts one.`;
  switch (command) {
    case "up": {
      const cluster = await driver.up();
      console.log(table(cluster.facts));
      console.log(`\nUse it with: eval "$(npm run -s cluster -- env${more})"`);
      return 0;
    }
    case "status": {
      const cluster = await driver.find();
      if (values.output === "json") console.log(JSON.stringify(cluster?.summary ?? { running: false }, undefined, 2));
      else console.log(cluster === undefined ? none : table(cluster.facts));
      return cluster === undefined ? 1 : 0;
    }
    case "env": {
      const cluster = await driver.find();
      if (cluster === undefined) {
        console.error(none);
        return 1;
      }
      console.log(`export KUBECONFIG=${quote(cluster.kubeconfig)}`);
      console.log(`export KUBECACHEDIR=${quote(`${cluster.folder}/kubectl-cache`)}`);
      console.log(`export PATH=${quote(cluster.programs)}:"$PATH"`);
      return 0;
    }
    case "down":
      console.log((await driver.down()) ? "The cluster is gone." : "No cluster is up.");
      return 0;
    default:
      throw new UsageError(`unknown command "${command}"`);
  }
}

function keptBy(values: { driver: string; tier: string }): Kept {
  const wanted = tier.safeParse(values.tier);
  if (!wanted.success) throw new UsageError(`--tier takes "full" or "api"`);
  const options = { env: process.env, progress: printProgress(process.stderr) };
  if (values.driver === "embedded") return keptEmbedded({ ...options, tier: wanted.data });
  if (values.driver === "kind") return keptKind(options);
  throw new UsageError(`--driver takes "embedded" or "kind"`);
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        driver: { type: "string", default: "embedded" },
        help: { type: "boolean", short: "h", default: false },
        output: { type: "string", short: "o" },
        tier: { type: "string", default: "full" },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function table(facts: readonly (readonly [string, string])[]): string {
  return facts.map(([name, value]) => `${`${name}:`.padEnd(12)}${value}`).join("\n");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  if (error instanceof UsageError) console.error(`${error.message}\n\n${usage}`);
  else console.error(error instanceof Error ? error.message : error);
  process.exit(error instanceof UsageError ? 64 : 1);
}
