import { ENGINE, SUPPORTED_TYPES } from "./operation.ts";

/**
 * The CRD's validation rules, in CEL: what the API server refuses at `kubectl apply`. They bind only Backups and
 * Restores by Velero; other Operations are upstream's. manifests/policies/operation-spec.yaml repeats those that must
 * hold even if another CRD has replaced ours. docs/contract.md#schema.
 */

export interface Rule {
  rule: string;
  message: string;
  optionalOldSelf?: boolean;
}

const ours = (spec: string) =>
  `${spec}.engine == '${ENGINE}' && ${spec}.type in [${SUPPORTED_TYPES.map((type) => `'${type}'`).join(", ")}]`;
const ifOurs = (rule: string) => `!(${ours("self")}) || (${rule})`;
/** Applies a rule about a parameter only if the parameter is given. */
const ifGiven = (name: string, rule: string) =>
  ifOurs(`!has(self.parameters) || !has(self.parameters.${name}) || (${rule})`);

export const objectRules: Rule[] = [
  {
    // Names never change, so the rule binds only new objects; those that upstream has stored stay writable.
    rule: `oldSelf.hasValue() || !has(self.spec) || !(${ours("self.spec")}) || size(self.metadata.name) <= 63`,
    optionalOldSelf: true,
    message: "metadata.name: 63 characters at most, because Velero keeps it in labels",
  },
  {
    rule: `!has(oldSelf.spec) || !(${ours("oldSelf.spec")}) || has(self.spec)`,
    message: "spec is immutable; create a new Operation instead",
  },
  {
    // The API server skips the rules of spec when the old object had no spec.
    rule: `has(oldSelf.spec) || !has(self.spec) || !(${ours("self.spec")})`,
    message: "spec is immutable and cannot be added later; create a new Operation instead",
  },
];

const unchanged = ["type", "engine", "targetRef"].map((field) => `self.${field} == oldSelf.${field}`).join(" && ");

export const specRules: Rule[] = [
  {
    rule:
      `!((${ours("self")}) || (${ours("oldSelf")})) || (${unchanged} && ` +
      "has(self.parameters) == has(oldSelf.parameters) && " +
      // Both ways: the comparison stops at the first parameter that the schema does not know.
      "(!has(self.parameters) || (self.parameters == oldSelf.parameters && oldSelf.parameters == self.parameters)))",
    message: "spec is immutable but for approvals; create a new Operation instead",
  },
  {
    rule:
      `!(${ours("oldSelf")}) || !has(oldSelf.approvals) || !has(oldSelf.approvals.required) || ` +
      "!oldSelf.approvals.required || " +
      "(has(self.approvals) && has(self.approvals.required) && self.approvals.required)",
    message: "spec.approvals.required: once true it stays true",
  },
  {
    rule: ifOurs(
      "self.targetRef.kind == 'ApplicationInstance' && self.targetRef.apiVersion.startsWith('apps.vworkspace.io/') && " +
        "size(self.targetRef.name) > 0",
    ),
    message: "spec.targetRef: must name an ApplicationInstance of apps.vworkspace.io",
  },
  {
    rule: ifOurs(
      "self.type != 'Restore' || (has(self.parameters) && has(self.parameters.backupName) && " +
        "size(self.parameters.backupName) > 0)",
    ),
    message: "spec.parameters.backupName: required for a Restore",
  },
  {
    rule: ifGiven(
      "ttl",
      "self.parameters.ttl.matches('^[+]?([0-9]+([.][0-9]*)?(h|ms|m|s|us|µs|μs|ns))+$') && " +
        "duration(self.parameters.ttl) > duration('0s')",
    ),
    message: 'spec.parameters.ttl: must be a Go duration greater than 0, such as "72h"',
  },
  {
    rule: ifGiven("existingResourcePolicy", "self.parameters.existingResourcePolicy in ['none', 'update']"),
    message: 'spec.parameters.existingResourcePolicy: must be "none" or "update"',
  },
];
