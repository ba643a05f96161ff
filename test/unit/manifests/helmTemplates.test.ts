import { describe, expect, test } from "vitest";
import { Document } from "yaml";
import { Templates } from "../../../manifests/helmTemplates.ts";
import type { ChartValue, Place } from "../../../manifests/helmValues.ts";

// What Helm makes of the templates is seen with Helm itself: test/integration/helmChart.test.ts.
const configMap = (data: object) => new Document({ kind: "ConfigMap", metadata: { name: "a" }, data });

function render(data: object, place?: Partial<Place>, name = "v"): string {
  const places = place === undefined ? [] : [{ in: "ConfigMap/a", path: ["data"], how: "replaces" as const, ...place }];
  const values: ChartValue[] = [{ name, description: "", schema: {}, default: "", places }];
  const templates = new Templates(values, []);
  const text = templates.render([{ document: configMap(data), condition: undefined }]);
  templates.checkAllFound();
  return text.slice(text.indexOf("\ndata:") + 1);
}

describe("a template", () => {
  test("has what looks like a template as text", () => {
    expect(render({ alert: "Of {{ $labels.type }}" })).toContain('alert: Of {{ "{{" }} $labels.type }}');
  });

  test("has a value in place of what is there, without its quotes", () => {
    expect(render({ k: "" }, { path: ["data", "k"] })).toBe("data:\n  k: {{ .Values.v | toJson }}\n");
  });

  test("has a key that the manifests do not have only when the value is not empty", () => {
    const place = { path: ["data", "k"], how: "only" as const };
    expect(render({ a: 1 }, place)).toBe("data:\n  a: 1\n{{- with .Values.v }}\n  k: {{ toJson . }}\n{{- end }}\n");
  });

  test("adds to what is there inside of a text that is YAML, and keeps its comments", () => {
    const place = { in: "ConfigMap/a#s.yaml", path: [], how: "adds" as const };
    expect(render({ "s.yaml": "# why\nk: 1\n" }, place)).toBe(
      "data:\n  s.yaml: |\n    # why\n    k: 1\n{{- range $key, $value := .Values.v }}\n    {{ toJson $key }}: {{ toJson $value }}\n{{- end }}\n",
    );
  });
});

describe("a value whose place is not as it says stops the generator:", () => {
  test.each<[string, Partial<Place>]>([
    ["nothing to replace", { path: ["data", "gone"] }],
    ["a key that the manifests have by now", { path: ["data", "k"], how: "only" }],
    ["an object that is gone", { in: "ConfigMap/gone" }],
  ])("%s", (_, place) => {
    expect(() => render({ k: 1 }, place)).toThrow("in the manifests");
  });
});
