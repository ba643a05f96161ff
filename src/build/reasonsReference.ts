import { inOrder } from "../api/order.ts";
import { ACTORS, everyRemedy, type Remedy } from "../api/remedies.ts";

/** docs/reasons.md: every reason with its meaning, who must act and what they do, made from the table of the commands for people. */
export function renderReasonsReference(): string {
  const sections = [...everyRemedy()].sort(([a], [b]) => inOrder(a, b)).map(section);
  return `# Reasons

Generated from src/api/remedies.ts by \`npm run generate\`; do not edit.

Every reason that an Operation's conditions and Events can show. \`kubectl operation describe\` says the same about one Operation,
with its name put in.

${sections.join("\n\n")}
`;
}

function section([reason, { meaning, who, todo }]: [string, Remedy]): string {
  const actor = who === "nobody" ? "Nobody has to act" : `Who acts: ${ACTORS[who]}`;
  return `## ${reason}\n\n${meaning} ${actor}: ${todo}.`;
}
