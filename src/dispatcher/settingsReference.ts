import { type SettingKey, settingKeys, variableOf } from "./settings.ts";

/** docs/settings.md: every setting with its environment variable, type, default and unit, made from the schema. */
export function renderSettingsReference(): string {
  return `# Settings of the dispatcher

Generated from src/dispatcher/settings.ts by \`npm run generate\`; do not edit.

The dispatcher reads the YAML file that \`OPERATION_RUNNER_SETTINGS\` names (the ConfigMap \`operation-dispatcher-settings\`,
key \`settings.yaml\`) once, when it starts. Each key can be overridden by an environment variable; lists and maps are given
there as YAML. With an unknown key or a wrong value it does not start, and says everything that is wrong at once.

${settingKeys().map(section).join("\n\n")}
`;
}

function section({ path, type, default: unset, description, unit }: SettingKey): string {
  const name = path.join(".");
  const rows = [
    `- Environment: \`${variableOf(path)}\``,
    `- Type: ${type}${unit === undefined ? "" : ` (${unit})`}`,
    `- Default: \`${JSON.stringify(unset)}\``,
  ];
  return `## \`${name}\`\n\n${description}\n\n${rows.join("\n")}`;
}
