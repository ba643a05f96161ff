import * as z from "zod";

/**
 * Kubernetes' LabelSelector, checked as strictly as the API server checks one. Velero's CRD takes any text here, and
 * Velero would fail the whole backup because of a wrong one. docs/contract.md#backup-parameters.
 */

const NAME = /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;
const PREFIX = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;
const MAX_REQUIREMENTS = 64;
const MAX_VALUES = 64;

const labelKey = z
  .string("must be the key of a label")
  .refine(isLabelKey, 'must be the key of a label such as "app" or "example.org/tier"');

const labelValue = z
  .string("must be the value of a label, a string")
  .refine(
    (text) => text === "" || NAME.test(text),
    'must be the value of a label: 63 letters, digits, "-", "_" and "." at most',
  );

function isLabelKey(text: string): boolean {
  const slash = text.indexOf("/");
  return NAME.test(text.slice(slash + 1)) && (slash < 0 || PREFIX.test(text.slice(0, slash)));
}

const OPERATORS = ["In", "NotIn", "Exists", "DoesNotExist"] as const;

const requirement = z
  .strictObject(
    {
      key: labelKey,
      operator: z.enum(OPERATORS, `must be ${OPERATORS.join(", ").replace(/, (?=\w+$)/, " or ")}`),
      values: z
        .array(labelValue, "must be a list of values of labels")
        .max(MAX_VALUES, `must be a list of ${MAX_VALUES} values of labels at most`)
        .optional(),
    },
    "must have a key, an operator and, for In and NotIn, values",
  )
  .refine(({ operator, values = [] }) => takesValues(operator) === values.length > 0, {
    path: ["values"],
    message: "must be given for In and NotIn, and for nothing else",
  });

function takesValues(operator: (typeof OPERATORS)[number]): boolean {
  return operator === "In" || operator === "NotIn";
}

export const labelSelector = z.strictObject(
  {
    matchLabels: z
      .record(labelKey, labelValue, "must map keys of labels to their values")
      .refine(
        (labels) => Object.keys(labels).length <= MAX_REQUIREMENTS,
        `must name ${MAX_REQUIREMENTS} labels at most`,
      )
      .optional(),
    matchExpressions: z
      .array(requirement, "must be a list of requirements")
      .max(MAX_REQUIREMENTS, `must be a list of ${MAX_REQUIREMENTS} requirements at most`)
      .optional(),
  },
  "must have matchLabels or matchExpressions, as a selector of Kubernetes has them",
);
