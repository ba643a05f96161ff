import { parseArgs } from "node:util";
import { type Connection, tier } from "./embedded/connection.ts";
import { endKeptCluster, keptCluster, startKeptCluster } from "./keptCluster.ts";
import { printProgress } from "./progress.ts";

const usage = `A Kubernetes cluster on this machine, for trying things out. Your own kubeconfig is neither read nor changed.

  npm run cluster -- up [--tier full|api]   start it, or say that it is up; "api" is the control plane alone
  npm run cluster -- status [-o json]       say whether it is up, and where; exit code 1 when it is not
  npm run cluster -- env                    print what a shell needs: eval "$(npm run -s cluster -- env)"
  npm run cluster -- down                   end it and remove its files
`;

/** Wrong use, told apart from a cluster that does not start. */
class UsageError extends Error {}

const env = process.env;

/** Carries out one command line. Answers the exit code. */
async function main(args: string[]): Promise<number> {
  const { values, positionals } = parse(args);
  const [command, ...rest] = positionals;
  if (values.help || command === undefined || rest.length > 0) {
    if (!values.help) throw new UsageError("one command is needed");
    console.log(usage);
    return 0;
  }
  switch (command) {
    case "up": {
      const wanted = tier.safeParse(values.tier);
      if (!wanted.success) throw new UsageError(`--tier takes "full" or "api"`);
      const options = { tier: wanted.data, env, progress: printProgress(process.stderr) };
      const connection = (await keptCluster(env)) ?? (await startKeptCluster(options));
      console.log(describe(connection));
      console.log('\nUse it with: eval "$(npm run -s cluster -- env)"');
      return 0;
    }
    case "status": {
      const connection = await keptCluster(env);
      if (values.output === "json") console.log(JSON.stringify(summary(connection), undefined, 2));
      else
        console.log(
          connection === undefined ? 'No cluster is up. "npm run cluster -- up" starts one.' : describe(connection),
        );
      return connection === undefined ? 1 : 0;
    }
    case "env": {
      const connection = await keptCluster(env);
      if (connection === undefined) {
        console.error('No cluster is up. "npm run cluster -- up" starts one.');
        return 1;
      }
      console.log(`export KUBECONFIG=${quote(connection.kubeconfig)}`);
      console.log(`export KUBECACHEDIR=${quote(`${connection.folder}/kubectl-cache`)}`);
      console.log(`export PATH=${quote(connection.programs)}:"$PATH"`);
      return 0;
    }
    case "down":
      console.log((await endKeptCluster(env)) ? "The cluster is gone." : "No cluster is up.");
      return 0;
    default:
      throw new UsageError(`unknown command "${command}"`);
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        help: { type: "boolean", short: "h", default: false },
        output: { type: "string", short: "o" },
        tier: { type: "string", default: "full" },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function summary(connection: Connection | undefined): object {
  if (connection === undefined) return { running: false };
  const { tier, kubeconfig, programs, logs, folder, host, bucket } = connection;
  return { running: true, tier, kubeconfig, programs, logs, folder, pid: host.pid, objectStore: bucket?.endpoint };
}

function describe({ tier, kubeconfig, programs, logs, bucket }: Connection): string {
  const lines = [
    ["Cluster", tier === "full" ? "up: control plane, node, object store" : "up: control plane"],
    ["Kubeconfig", kubeconfig],
    ["Programs", programs],
    ["Logs", logs],
    ...(bucket === undefined ? [] : [["S3", `${bucket.endpoint}, bucket ${bucket.name}`]]),
  ];
  return lines.map(([name, value]) => `${`${name}:`.padEnd(12)}${value}`).join("\n");
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
