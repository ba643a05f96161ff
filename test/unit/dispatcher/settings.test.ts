import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { renderSettingsReference } from "../../../src/build/settingsReference.ts";
import { loadSettings, readApprovalKey, settingKeys, variableOf } from "../../../src/dispatcher/settings.ts";

const folder = await mkdtemp(join(tmpdir(), "settings-"));
afterAll(() => rm(folder, { recursive: true }));

async function file(text: string): Promise<string> {
  const path = join(folder, "settings.yaml");
  await writeFile(path, text);
  return path;
}

async function problemsOf(env: NodeJS.ProcessEnv): Promise<string> {
  return await loadSettings(env).then(
    (settings) => `accepted: ${JSON.stringify(settings)}`,
    (error: Error) => error.message,
  );
}

test("nothing said means the defaults, in the dispatcher's own namespace", async () => {
  expect(await loadSettings({})).toMatchObject({
    clusterId: "",
    namespaces: [],
    requireTargetReady: true,
    veleroNamespace: "velero",
    jobNamespace: "vworkspace-system",
    limits: { maxConcurrent: 10, maxConcurrentPerNamespace: 3 },
  });
  expect(await loadSettings({ POD_NAMESPACE: "ops" })).toMatchObject({ jobNamespace: "ops" });
});

test("the file counts over the defaults, and the environment over the file", async () => {
  const path = await file(
    "clusterId: eu-1\njobNamespace: jobs\nlimits:\n  maxConcurrent: 4\n  maxConcurrentPerNamespace: 2\n",
  );
  const env = {
    OPERATION_RUNNER_SETTINGS: path,
    POD_NAMESPACE: "ops",
    OPERATION_RUNNER_CLUSTER_ID: "007",
    OPERATION_RUNNER_LIMITS_MAX_CONCURRENT: "5",
    OPERATION_RUNNER_REQUIRE_TARGET_READY: "false",
    OPERATION_RUNNER_STORAGE_LOCATIONS: "{gold: [org-a]}",
  };
  expect(await loadSettings(env)).toMatchObject({
    clusterId: "007",
    jobNamespace: "jobs",
    limits: { maxConcurrent: 5, maxConcurrentPerNamespace: 2 },
    requireTargetReady: false,
    storageLocations: { gold: ["org-a"] },
  });
});

test("everything that is wrong is told at once", async () => {
  const path = await file(
    "namespace: org-a\nnamespaces: [Org_A]\nlimits:\n  maxConcurent: 5\n  maxConcurrent: 0\nlisten: 8080\n",
  );
  const env = {
    OPERATION_RUNNER_SETTINGS: path,
    OPERATION_RUNNER_LOG_LEVEL: "loud",
    OPERATION_RUNNER_CLUSTERID: "eu-1",
  };
  const message = await problemsOf(env);
  expect(
    message
      .split("\n")
      .map((line) => line.trim())
      .sort(),
  ).toEqual([
    "OPERATION_RUNNER_CLUSTERID: unknown setting",
    expect.stringMatching(/^limits\.maxConcurent: unknown setting$/),
    "limits.maxConcurrent: must be 1 or more",
    "listen: must be host:port",
    "logLevel (from OPERATION_RUNNER_LOG_LEVEL): must be trace, debug, info, warn, error or fatal",
    "namespace: unknown setting",
    expect.stringMatching(/^namespaces\.0: must be the name of a namespace/),
    "settings cannot be used:",
  ]);
});

test("a file that is not there, is no YAML, or is no map is told", async () => {
  expect(await problemsOf({ OPERATION_RUNNER_SETTINGS: join(folder, "missing.yaml") })).toContain("no such file");
  expect(await problemsOf({ OPERATION_RUNNER_SETTINGS: await file("a: [") })).toContain("settings.yaml: ");
  expect(await problemsOf({ OPERATION_RUNNER_SETTINGS: await file("- a") })).toContain("must be a map of settings");
  expect(await problemsOf({ OPERATION_RUNNER_SETTINGS: await file("# nothing yet\n") })).toMatch(/^accepted/);
});

test.each([
  ["is no YAML", "[org-a", "OPERATION_RUNNER_NAMESPACES: "],
  ["names a key twice", "{gold: [org-a], gold: []}", "OPERATION_RUNNER_STORAGE_LOCATIONS: Map keys must be unique"],
  ["refers to nothing", "{gold: *none}", "OPERATION_RUNNER_STORAGE_LOCATIONS: Unresolved alias"],
])("a variable whose value %s is told", async (_, value, problem) => {
  const [name = ""] = problem.split(":");
  expect(await problemsOf({ [name]: value })).toContain(problem);
});

test("the variables that Kubernetes sets for a Service called operation-runner are no settings", async () => {
  const env = {
    OPERATION_RUNNER_SERVICE_HOST: "10.0.0.1",
    OPERATION_RUNNER_SERVICE_PORT: "8080",
    OPERATION_RUNNER_SERVICE_PORT_HTTP: "8080",
    OPERATION_RUNNER_PORT: "tcp://10.0.0.1:8080",
    OPERATION_RUNNER_PORT_8080_TCP: "tcp://10.0.0.1:8080",
  };
  expect(await problemsOf(env)).toMatch(/^accepted/);
  for (const { path } of settingKeys()) expect(Object.keys(env)).not.toContain(variableOf(path));
});

test("the approval key comes from its file, without the line break at its end", async () => {
  const settings = await loadSettings({});
  expect(await readApprovalKey(settings)).toBeUndefined();
  const path = join(folder, "key");
  await writeFile(path, "s3cret \n");
  expect(await readApprovalKey({ ...settings, approvalKeyFile: path })).toBe("s3cret ");
  await writeFile(path, "\n");
  await expect(readApprovalKey({ ...settings, approvalKeyFile: path })).rejects.toThrow("is empty");
  await expect(readApprovalKey({ ...settings, approvalKeyFile: join(folder, "none") })).rejects.toThrow("no such file");
});

test("every setting is in the reference, with a description", () => {
  const reference = renderSettingsReference();
  for (const { path, description } of settingKeys()) {
    expect(description).not.toBe("");
    expect(reference).toContain(`## \`${path.join(".")}\``);
    expect(reference).toContain(`\`${variableOf(path)}\``);
  }
  expect(reference).toContain("Default: `10`");
});
