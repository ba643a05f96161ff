import { type SettingKey, settingKeys, variableOf } from "../dispatcher/settings.ts";

/** docs/settings.md: every setting with its environment variable, type, default and unit, made from the schema. */
export function renderSettingsReference(): string {
  return `# Settings of the dispatcher

Generated from src/dispatcher/settings.ts by \`npm run generate\`; do not edit.

The dispatcher reads the YAML file that \`OPERATION_RUNNER_SETTINGS\` names (the ConfigMap \`operation-dispatcher-settings\`,
key \`settings.yaml\`) when it starts, and again when that or the approval key changes: it then goes on with the new settings
within seconds (a mounted ConfigMap follows its object within two minutes), in the same pod. A Job that is made already keeps what
it was made with. Each key can be overridden by an environment variable; lists and maps are given there as YAML. With an unknown
key or a wrong value it does not start, and says everything that is wrong at once; when it is at work already, it says so in its
log, keeps the settings that it has, and shows the metric \`operation_runner_settings_valid\` as 0.

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
