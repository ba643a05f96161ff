import { mkdir, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { printProgress, withHeartbeat } from "../cluster/progress.ts";
import { run } from "../cluster/run.ts";
import { type Image, readImage } from "./archive.ts";
import { type Cost, measureStartUp } from "./startUp.ts";

const USAGE = `usage: npm run image [-- -o json]

Builds the image twice from nothing, and says whether both are the same to the last bit, how large its layers are, and
what starting it costs inside a container. Needs Docker with buildx.`;

const root = path.join(import.meta.dirname, "..", "..");
const progress = printProgress(process.stderr);

interface Report extends Image {
  readonly reproducible: boolean;
  readonly startUp: Record<string, Cost>;
}

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { output: { type: "string", short: "o" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  if (values.output !== undefined && values.output !== "json") throw new Error('-o takes "json"');
  const report = await inspect(process.env);
  console.log(values.output === "json" ? JSON.stringify(report, null, 2) : text(report));
  return report.reproducible ? 0 : 1;
}

async function inspect(env: NodeJS.ProcessEnv): Promise<Report> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "operation-runner-image-"));
  try {
    const first = await build(path.join(folder, "first"), env);
    const second = await build(path.join(folder, "second"), env);
    const tag = "operation-runner:report";
    await docker(["build", "--quiet", ...source(env), "--tag", tag, root], env);
    const startUp = await measureStartUp(tag, env);
    await docker(["image", "rm", tag], env);
    return { ...first, reproducible: first.digest === second.digest, startUp };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Builds without a cache, with the time of the last commit as that of every file. */
async function build(folder: string, env: NodeJS.ProcessEnv): Promise<Image> {
  await mkdir(folder);
  const archive = path.join(folder, "image.tar");
  const commit = (await checked("git", ["-C", root, "log", "-1", "--format=%ct"], env)).trim();
  const output = ["--output", `type=oci,dest=${archive},rewrite-timestamp=true`];
  const options = ["--no-cache", "--provenance=false", "--build-arg", `SOURCE_DATE_EPOCH=${commit}`, ...output];
  await withHeartbeat(
    progress,
    (elapsed) => `building the image without a cache, ${elapsed}`,
    () => docker(["buildx", "build", ...options, ...source(env), root], env),
  );
  await checked("tar", ["-xf", archive, "-C", folder], env);
  return await readImage(folder);
}

/** A private CA that Node is told to trust here is needed in the build as well. */
function source({ NODE_EXTRA_CA_CERTS: ca }: NodeJS.ProcessEnv): string[] {
  return ca ? ["--secret", `id=ca,src=${ca}`] : [];
}

const docker = (args: readonly string[], env: NodeJS.ProcessEnv) => checked("docker", args, env);

async function checked(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, { env });
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} failed:\n${stderr.trim()}`);
  return stdout;
}

function text({ digest, platform, layers, reproducible, startUp }: Report): string {
  const total = (of: "compressed" | "uncompressed") => layers.reduce((sum, layer) => sum + layer[of], 0);
  const row = (pulled: number, onDisk: number, what: string) =>
    `${megabytes(pulled).padStart(10)}  ${megabytes(onDisk).padStart(10)}  ${what}`;
  const [bare] = Object.values(startUp);
  return [
    `${platform} ${digest}`,
    reproducible ? "built twice: the same digest" : "built twice: THE DIGESTS DIFFER",
    "",
    "    pulled     on disk  layer",
    ...layers.map(({ compressed, uncompressed, files, folder }) =>
      row(compressed, uncompressed, `${files} files in ${folder}`),
    ),
    row(total("compressed"), total("uncompressed"), "in all"),
    "",
    " start-up         CPU      memory  program (median; beside bare Node)",
    ...Object.entries(startUp).map(([name, each]) => {
      const ratio =
        bare === undefined || each === bare ? "" : ` (${(each.cpuMs / bare.cpuMs).toFixed(1)} times the CPU)`;
      return `${`${Math.round(each.wallMs)} ms`.padStart(9)}  ${`${Math.round(each.cpuMs)} ms`.padStart(10)}  ${`${Math.round(each.rssMiB)} MiB`.padStart(10)}  ${name}${ratio}`;
    }),
  ].join("\n");
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`image: ${error instanceof Error ? error.message : error}\n\n${USAGE}`);
  process.exitCode = 2;
}
