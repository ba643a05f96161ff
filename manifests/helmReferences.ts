import { Document, isMap, Pair, Scalar } from "yaml";
import type { ChartValue } from "./helmValues.ts";

/** values.yaml: each value with its default and what it is for. */
export function valuesYaml(values: readonly ChartValue[]): string {
  const document = new Document({});
  for (const value of values) {
    const path = value.name.split(".");
    const last = path.pop() ?? "";
    if (path.length > 0 && !document.hasIn(path)) document.setIn(path, document.createNode({}));
    const parent = path.length === 0 ? document.contents : document.getIn(path, true);
    if (!isMap(parent)) throw new Error(`${value.name}: ${path.join(".")} is a value itself`);
    const key = new Scalar(last);
    key.commentBefore = wrapped(value.description, 110);
    parent.add(new Pair(key, document.createNode(value.default)));
  }
  return document.toString({ lineWidth: 120 });
}

function wrapped(text: string, width: number): string {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length > width) lines.push(` ${word}`);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.join("\n");
}

interface ObjectSchema {
  type: "object";
  properties: Record<string, object>;
  additionalProperties: false;
}

/** values.schema.json: an unknown or wrong value is an error that names it. */
export function schemaOf(values: readonly ChartValue[]): string {
  const all = emptySchema();
  // What a chart that includes this one hands down.
  all.properties.global = { type: "object" };
  for (const { name, description, schema, default: unset } of values) {
    const path = name.split(".");
    const last = path.pop() ?? "";
    const parent = path.reduce((within, step) => {
      const inner = within.properties[step];
      if (isObjectSchema(inner)) return inner;
      const made = emptySchema();
      within.properties[step] = made;
      return made;
    }, all);
    parent.properties[last] = { description, ...schema, default: unset };
  }
  return `${JSON.stringify({ $schema: "http://json-schema.org/draft-07/schema#", ...all }, undefined, 2)}\n`;
}

const emptySchema = (): ObjectSchema => ({ type: "object", properties: {}, additionalProperties: false });

function isObjectSchema(schema: object | undefined): schema is ObjectSchema {
  return schema !== undefined && "properties" in schema;
}

/** The README's table. */
export function valuesTable(values: readonly ChartValue[]): string {
  const rows = values.map(
    ({ name, description, default: unset }) => `| \`${name}\` | \`${JSON.stringify(unset)}\` | ${description} |`,
  );
  return ["| Value | Default |  |", "| --- | --- | --- |", ...rows, ""].join("\n");
}
