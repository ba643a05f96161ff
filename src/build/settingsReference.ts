import { type SettingKey, settingKeys, variableOf } from "../dispatcher/settings.ts";

/** docs/settings.md: every setting with its environment variable, type, default and unit, made from the schema. */
export function renderSettingsReference(): string {
  return `# Settings of the dispatcher

Generated from src/dispatcher/settings.ts by \`npm run generate\`; do not edit.

The dispatcher reads the YAML file that \`OPERATION_RUNNER_SETTINGS\` names (the ConfigMap \`operation-dispatcher-settings\`,
key \`settings.yaml\`) when it starts, and again when the file or the approval key changes. It then continues with the new
settings within seconds, in the same pod; a mounted ConfigMap follows its object within two minutes. A Job that exists keeps
what it was made with. An environment variable can override each key; lists and maps are given there as YAML.

With an unknown key or a wrong value the dispatcher does not start, and reports everything that is wrong at once. If it is
running already, it logs that, keeps the settings that it has, and sets the metric \`operation_runner_settings_valid\` to 0.

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
