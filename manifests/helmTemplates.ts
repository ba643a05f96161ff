import { type Document, isMap, isNode, isScalar, isSeq, parseDocument } from "yaml";
import type { ChartValue, Place } from "./helmValues.ts";

/** An object of the manifests, as kustomize builds it, and when the chart has it. */
export interface ChartObject {
  readonly document: Document;
  /** A template expression; undefined: always. */
  readonly condition: string | undefined;
}

/** What a component adds to the dispatcher's environment. */
export interface ExtraEnv {
  readonly entry: unknown;
  readonly condition: string;
}

/** Stands in the YAML for what becomes a template expression once the YAML is text. */
interface Token {
  readonly word: string;
  readonly write: (text: string) => string;
}

const YAML = { lineWidth: 0, blockQuote: "literal", aliasDuplicateObjects: false } as const;
const SYSTEM_NAMESPACE = "vworkspace-system";
const VELERO_NAMESPACE = "velero";

/**
 * Turns objects into the text of a template: each place of each value becomes an expression, and all else stays what it
 * is. Every expression ends in toJson, which is YAML as well: so nothing that a user writes can break out of its place.
 */
export class Templates {
  readonly #tokens: Token[] = [];
  readonly #places: readonly Required<Place>[];
  readonly #found = new Set<Place>();

  /** The values, each with its default. */
  readonly values: readonly ChartValue[];

  /** @param base where the defaults are that a value leaves out */
  constructor(values: readonly ChartValue[], base: readonly Document[]) {
    this.values = values.map((value) => ({ ...value, default: value.default ?? defaultIn(base, value) }));
    this.#places = values.flatMap(({ name, places = [] }) =>
      places.map((place) => ({ expression: `.Values.${name}`, ...place })),
    );
  }

  /** @throws Error when a place is not as its value says */
  render(objects: readonly ChartObject[], extraEnv: readonly ExtraEnv[] = []): string {
    return objects
      .map(({ document, condition }) => {
        this.#mark(document, extraEnv);
        const text = this.#expressions(`---\n${document.toString(YAML)}`);
        return condition === undefined ? text : `{{- if ${condition} }}\n${text}{{- end }}\n`;
      })
      .join("");
  }

  /** @throws Error naming the places which no rendered object has */
  checkAllFound(): void {
    const lost = this.#places.filter((place) => !this.#found.has(place)).map((place) => `${place.in} ${place.path}`);
    if (lost.length > 0) throw new Error(`no such place in the manifests: ${lost.join(", ")}`);
  }

  #mark(document: Document, extraEnv: readonly ExtraEnv[]): void {
    const kind = String(document.get("kind"));
    const name = nameOf(document);
    if (["CustomResourceDefinition", "Namespace"].includes(kind)) {
      const annotations = ["metadata", "annotations"];
      if (!document.hasIn(annotations)) document.setIn(annotations, document.createNode({}));
      document.setIn([...annotations, "helm.sh/resource-policy"], "keep");
    }
    for (const place of this.#places) {
      const [object, key] = place.in.split("#");
      if (object !== name) continue;
      this.#found.add(place);
      if (key === undefined) this.#place(document, place);
      else {
        const inner = parseDocument(String(document.getIn(["data", key])));
        this.#place(inner, place);
        document.setIn(["data", key], inner.toString(YAML));
      }
    }
    if (name === "Deployment/operation-dispatcher") {
      const env = ["spec", "template", "spec", "containers", 0, "env"];
      for (const { entry, condition } of extraEnv) {
        const line = escaped(JSON.stringify(entry));
        document.addIn(
          env,
          this.#listEnd((indent) => block(`if ${condition}`, `${indent}- ${line}`)),
        );
      }
    }
    this.#placeVelero(document, kind);
  }

  /** Velero's namespace is in no fixed place: objects are in it, and accounts. */
  #placeVelero(document: Document, kind: string): void {
    const paths: (string | number)[][] = [["metadata", "namespace"]];
    if (kind === "Namespace") paths.push(["metadata", "name"]);
    const subjects = document.get("subjects");
    if (isSeq(subjects)) paths.push(...subjects.items.map((_, index) => ["subjects", index, "namespace"]));
    for (const path of paths) {
      if (document.getIn(path) === VELERO_NAMESPACE) document.setIn(path, this.#scalar(".Values.veleroNamespace"));
    }
  }

  #place(document: Document, { in: where, path: named, how, expression }: Required<Place>): void {
    const path = resolved(document, named);
    const there = path.length === 0 ? document.contents : document.getIn(path, true);
    if ((there === undefined) !== (how === "only")) {
      throw new Error(`${where} ${path.join(".")}: ${there === undefined ? "is not" : "is"} in the manifests`);
    }
    switch (how) {
      case "replaces":
        document.setIn(path, this.#scalar(expression));
        // No quotes around it, whatever there was: toJson brings its own.
        if (isScalar(there)) there.type = "PLAIN";
        return;
      case "only":
        document.setIn(path, this.#onlyContent(expression));
        return;
      case "instead":
        document.setIn(path, this.#unless(expression, isScalar(there) ? String(there.value) : ""));
        return;
      case "adds":
        if (isMap(there)) {
          const word = this.#mapEnd(expression);
          document.setIn([...path, word], word);
        } else {
          document.addIn(
            path,
            this.#listEnd((indent) => block(`range ${expression}`, `${indent}- {{ toJson . }}`)),
          );
        }
    }
  }

  #scalar(expression: string): string {
    return this.#token((text, word) => text.replace(word, () => `{{ ${expression} | toJson }}`));
  }

  #onlyContent(expression: string): string {
    return this.#token((text, word) =>
      text.replace(new RegExp(`\\n( *)(\\S+): ${word}(?=\\n)`), (_, indent, key) =>
        block(`with ${expression}`, `${indent}${key}: {{ toJson . }}`),
      ),
    );
  }

  #listEnd(entries: (indent: string) => string): string {
    return this.#token((text, word) =>
      text.replace(new RegExp(`\\n( *)- ${word}(?=\\n)`), (_, indent) => entries(indent)),
    );
  }

  #mapEnd(expression: string): string {
    return this.#token((text, word) =>
      text.replace(new RegExp(`\\n( *)${word}: ${word}(?=\\n)`), (_, indent) =>
        block(`range $key, $value := ${expression}`, `${indent}{{ toJson $key }}: {{ toJson $value }}`),
      ),
    );
  }

  /** A text in several lines, between two tokens. */
  #unless(expression: string, content: string): string {
    const word = this.#token((text, word) =>
      text
        .replace(
          new RegExp(`\\|\\n *${word}(?=\\n)`),
          () => `{{ if ${expression} }}{{ toJson ${expression} }}{{ else }}|`,
        )
        .replace(new RegExp(`\\n *${word}(?=\\n)`), () => "\n{{- end }}"),
    );
    return `${word}\n${content}${word}\n`;
  }

  #token(write: (text: string, word: string) => string): string {
    const word = `HELM${this.#tokens.length}TOKEN`;
    this.#tokens.push({ word, write: (text) => write(text, word) });
    return word;
  }

  #expressions(yaml: string): string {
    // What looks like a template already (alerts, dashboards) is content.
    const text = escaped(yaml)
      .replaceAll(new RegExp(`: ${SYSTEM_NAMESPACE}$`, "gm"), ": {{ .Release.Namespace | toJson }}")
      .replaceAll(SYSTEM_NAMESPACE, "{{ .Release.Namespace }}");
    return this.#tokens.reduce((done, { word, write }) => (done.includes(word) ? write(done) : done), text);
  }
}

/** What the manifests have at the first place of a value. */
function defaultIn(base: readonly Document[], { name, places: [place] = [] }: ChartValue): unknown {
  const [object, key] = place?.in.split("#") ?? [];
  const document = base.find((each) => nameOf(each) === object);
  if (document === undefined || place === undefined) throw new Error(`${name} has no default`);
  const inner = key === undefined ? document : parseDocument(String(document.getIn(["data", key])));
  const node = inner.getIn(resolved(inner, place.path), true);
  return isNode(node) ? node.toJS(inner) : node;
}

const nameOf = (document: Document) => `${document.get("kind")}/${document.getIn(["metadata", "name"])}`;

/** Lines that are there under a condition, in place of the line break before them. */
function block(condition: string, lines: string): string {
  return `\n{{- ${condition} }}\n${lines}\n{{- end }}`;
}

/** Text that Helm's templates print as it is. */
function escaped(text: string): string {
  return text.replaceAll("{{", '{{ "{{" }}');
}

/** A name in a path through a list stands for the value of the entry that has it: `env`, `CLUSTER_ID`. */
function resolved(document: Document, path: Place["path"]): (string | number)[] {
  const done: (string | number)[] = [];
  for (const step of path) {
    const list = done.length === 0 ? undefined : document.getIn(done);
    if (isSeq(list) && typeof step === "string") {
      done.push(
        list.items.findIndex((item) => isMap(item) && item.get("name") === step),
        "value",
      );
    } else done.push(step);
  }
  return done;
}
