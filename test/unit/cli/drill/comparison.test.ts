import { buffer } from "node:stream/consumers";
import { pack } from "tar-stream";
import { describe, expect, test } from "vitest";
import { type ArchivedObject, archivedObjects, type JsonObject } from "../../../../src/cli/drill/archive.ts";
import { compare, keyOf, missingFromArchive, planOf } from "../../../../src/cli/drill/comparison.ts";
import { resultOf } from "../../../../src/cli/drill/report.ts";
import { changedTar } from "../../../scenario/archive.ts";

const mapping = { from: "shop", into: "drill" };

function object(resource: string, name: string, content: Record<string, unknown>): ArchivedObject {
  const { kind = "ConfigMap", apiVersion = "v1", metadata, ...rest } = content;
  const full = { apiVersion: String(apiVersion), kind: String(kind), metadata: { name, ...Object(metadata) }, ...rest };
  return { resource, kind: `${apiVersion}/${kind}`, name, content: full };
}

/** What became of archived objects, after a change. */
function restoredFrom(objects: readonly ArchivedObject[], change: (content: JsonObject) => object = (same) => same) {
  return new Map(objects.map((each) => [keyOf(each), { ...each.content, ...change(each.content) }]));
}

function problemsOf(archived: readonly ArchivedObject[], restored: ReadonlyMap<string, JsonObject>): readonly string[] {
  return compare(archived, { restored, originals: undefined }, mapping).problems;
}

describe("what came back is compared with the archive", () => {
  const settings = object("configmaps", "settings", { metadata: { labels: { app: "shop" } }, data: { theme: "dark" } });

  test("what Velero and the API server write is no difference", () => {
    const archived = [
      object("configmaps", "settings", {
        metadata: { uid: "1", resourceVersion: "7", labels: { app: "shop" } },
        data: {},
      }),
      object("services", "web", {
        kind: "Service",
        spec: { clusterIP: "10.0.0.1", clusterIPs: ["10.0.0.1"], ports: [] },
      }),
      object("rolebindings.rbac.authorization.k8s.io", "edit", {
        kind: "RoleBinding",
        subjects: [{ kind: "ServiceAccount", name: "web", namespace: "shop" }],
      }),
    ];
    const restored = new Map<string, JsonObject>([
      [
        "configmaps/settings",
        {
          apiVersion: "v1",
          kind: "ConfigMap",
          metadata: { name: "settings", labels: { app: "shop", "velero.io/restore-name": "x" } },
          data: {},
        },
      ],
      [
        "services/web",
        {
          apiVersion: "v1",
          kind: "Service",
          metadata: { name: "web" },
          spec: { clusterIP: "10.0.0.9", clusterIPs: ["10.0.0.9"], ports: [] },
          status: {},
        },
      ],
      [
        "rolebindings.rbac.authorization.k8s.io/edit",
        {
          apiVersion: "",
          kind: "RoleBinding",
          metadata: { name: "edit" },
          subjects: [{ kind: "ServiceAccount", name: "web", namespace: "drill" }],
        },
      ],
    ]);
    const { problems, kinds } = compare(archived, { restored, originals: undefined }, mapping);
    expect(problems).toEqual([]);
    expect(kinds.map(({ equal }) => equal)).toEqual([1, 1, 1]);
  });

  test.each<[string, (content: JsonObject) => object, string]>([
    ["a value", () => ({ data: { theme: "light" } }), "data.theme"],
    ["a value that is gone", () => ({ data: {} }), "data.theme"],
    ["a value more", () => ({ data: { theme: "dark", more: "x" } }), "data.more"],
    ["a label", ({ metadata }) => ({ metadata: { ...metadata, labels: { app: "x" } } }), "labels.app"],
    ["a label that is gone", ({ metadata }) => ({ metadata: { ...metadata, labels: {} } }), "labels.app"],
    ["all data", () => ({ data: undefined }), "data"],
  ])("%s differs", (_, change, field) => {
    expect(problemsOf([settings], restoredFrom([settings], change))).toEqual([
      `configmaps/settings differs from the backup in ${field}`,
    ]);
  });

  test("a field that a newer API server has a default for is no difference, and one entry of a list more is", () => {
    const web = object("deployments.apps", "web", { kind: "Deployment", spec: { args: ["a"], replicas: 2 } });
    const changedTo = (spec: object) =>
      problemsOf(
        [web],
        restoredFrom([web], () => ({ spec })),
      );
    expect(changedTo({ args: ["a"], replicas: 2, newField: "default" })).toEqual([]);
    expect(changedTo({ args: ["a", "b"], replicas: 2 })).toEqual([
      "deployments.apps/web differs from the backup in spec.args",
    ]);
    expect(changedTo({ args: ["b"], replicas: 2 })).toEqual([
      "deployments.apps/web differs from the backup in spec.args.0",
    ]);
  });

  test("what did not come back is named", () => {
    expect(problemsOf([settings], new Map())).toEqual(["configmaps/settings is in the backup and was not restored"]);
  });

  test("no problem tells a value, which may be secret", () => {
    const secret = object("secrets", "token", { kind: "Secret", data: { token: "c2VjcmV0" } });
    const [problem] = problemsOf(
      [secret],
      restoredFrom([secret], () => ({ data: { token: "b3RoZXI=" } })),
    );
    expect(problem).toBe("secrets/token differs from the backup in data.token");
  });

  test.each([
    [
      "that has not changed since the backup must equal it",
      "7",
      ["configmaps/settings has not changed since the backup, which differs from it in data.theme"],
    ],
    ["that has changed since may be what it is", "8", []],
  ])("an original %s", (_, resourceVersion, problems) => {
    const metadata = { uid: "1", resourceVersion: "7" };
    const archived = [object("configmaps", "settings", { metadata, data: { theme: "dark" } })];
    const originals = restoredFrom(archived, (content) => ({
      metadata: { ...content.metadata, resourceVersion },
      data: { theme: "light" },
    }));
    const found = compare(archived, { restored: restoredFrom(archived), originals }, mapping);
    expect(found.problems).toEqual(problems);
    expect(found.kinds[0]?.equalsOriginal).toBe(0);
  });
});

describe("a drill restores what does nothing outside its namespace", () => {
  const claim = object("persistentvolumeclaims", "data", { kind: "PersistentVolumeClaim" });
  const settings = object("configmaps", "settings", {});

  test("volumes are not looked at yet, so that the drill is incomplete", () => {
    const { left, compared } = planOf([claim, settings]);
    expect(left).toEqual([{ resource: "persistentvolumeclaims", count: 1, why: expect.any(String), isData: true }]);
    expect(resultOf([], left, compared.length)).toBe("Incomplete");
    expect(resultOf([], [], compared.length)).toBe("Passed");
    expect(resultOf(["a problem"], left, compared.length)).toBe("Failed");
  });

  test("a backup of nothing to compare proves nothing", () => {
    expect(resultOf([], [], 0)).toBe("Incomplete");
  });

  test("a kind that its own controller might act on is left out, and said to be", () => {
    const { included, left } = planOf([object("buckets.s3.example.org", "files", { kind: "Bucket" })]);
    expect(included).not.toContain("buckets.s3.example.org");
    expect(left).toMatchObject([{ resource: "buckets.s3.example.org", count: 1, isData: false }]);
  });

  test.each(["LoadBalancer", "NodePort"])("no Service is restored where one is a %s", (type) => {
    const { included, left } = planOf([object("services", "web", { kind: "Service", spec: { type } })]);
    expect(included).not.toContain("services");
    expect(left).toMatchObject([{ resource: "services", count: 1 }]);
  });

  test("what a controller makes again is neither restored nor missed", () => {
    const owned = { metadata: { ownerReferences: [{ controller: true }] } };
    const { left, compared } = planOf([
      object("replicasets.apps", "web-1", owned),
      object("configmaps", "kube-root-ca.crt", {}),
    ]);
    expect({ left, compared }).toEqual({ left: [], compared: [] });
  });
});

describe("the archive", () => {
  const file = "resources/configmaps/namespaces/shop/settings.json";
  const json = (name: string) => JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name } });

  async function tarOf(files: Readonly<Record<string, string>>): Promise<Buffer> {
    const made = pack();
    for (const [name, content] of Object.entries(files)) made.entry({ name }, content);
    made.finalize();
    return await buffer(made);
  }

  test("has the objects of a namespace once, whatever versions of them it holds", async () => {
    const tar = await tarOf({
      "metadata/version": "1",
      [file]: json("settings"),
      "resources/configmaps/v1-preferredversion/namespaces/shop/settings.json": json("settings"),
      "resources/configmaps/namespaces/other/settings.json": json("settings"),
      "resources/namespaces/cluster/shop.json": json("shop"),
    });
    expect((await archivedObjects(tar, "shop")).map(keyOf)).toEqual(["configmaps/settings"]);
  });

  test("that is cut off between two files is not taken for a whole one", async () => {
    const tar = await tarOf({ [file]: json("settings") });
    await expect(archivedObjects(tar.subarray(0, -1024), "shop")).rejects.toThrow("the archive ends early");
  });

  test("with something else in an object's place is refused", async () => {
    const tar = await changedTar(await tarOf({ [file]: json("settings") }), () => json("another"));
    await expect(archivedObjects(tar, "shop")).rejects.toThrow(`${file} in the archive is no such object`);
  });

  test("lacks what Velero's list has and it has not", async () => {
    const archived = await archivedObjects(await tarOf({ [file]: json("settings") }), "shop");
    const listed = { "v1/ConfigMap": ["shop/settings", "shop/texts", "other/settings"], "v1/Namespace": ["shop"] };
    expect(missingFromArchive(archived, listed, "shop")).toEqual([
      "v1/ConfigMap texts is in Velero's list of the backup and not in its archive",
    ]);
  });
});
