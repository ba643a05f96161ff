import fc from "fast-check";

/** What may happen to a cluster; numbers choose among what there is at that time. */
export type DecisionEvent =
  | {
      readonly kind: "create";
      readonly namespace: number;
      readonly restore: boolean;
      readonly second: number;
      readonly approval: boolean;
    }
  | {
      readonly kind: "decide" | "decideOnOldVersion" | "cancel" | "uncancel" | "rerun" | "remove" | "approve";
      readonly which: number;
    }
  | { readonly kind: "runner" | "crash" | "removeJob" | "copyJob" | "replaceJob"; readonly which: number }
  | { readonly kind: "velero"; readonly which: number; readonly phase: "Completed" | "Failed" | "Deleting" }
  | { readonly kind: "target"; readonly namespace: number; readonly ready: boolean }
  | { readonly kind: "template"; readonly broken: boolean }
  | { readonly kind: "time"; readonly seconds: number };

const namespaceNumber = fc.nat(2);
const which = fc.nat(1000);
const one = <K extends string>(...kinds: K[]) => fc.record({ kind: fc.constantFrom(...kinds), which });

export const decisionEvent: fc.Arbitrary<DecisionEvent> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("create" as const),
      namespace: namespaceNumber,
      restore: fc.boolean(),
      second: fc.nat(5),
      approval: fc.nat(4).map((number) => number === 0),
    }),
  },
  { weight: 14, arbitrary: one("decide") },
  { weight: 8, arbitrary: one("runner") },
  { weight: 4, arbitrary: one("decideOnOldVersion", "crash", "crash", "removeJob") },
  { weight: 3, arbitrary: one("copyJob", "replaceJob") },
  { weight: 6, arbitrary: one("cancel", "uncancel", "rerun", "rerun", "remove", "approve") },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("velero" as const),
      which,
      phase: fc.constantFrom("Completed" as const, "Failed" as const, "Deleting" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("target" as const), namespace: namespaceNumber, ready: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("template" as const), broken: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("time" as const), seconds: fc.nat(60) }) },
);
