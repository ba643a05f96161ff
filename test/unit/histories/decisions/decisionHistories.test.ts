import fc from "fast-check";
import { expect, test } from "vitest";
import { isTerminal } from "../../../../src/api/operation.ts";
import { type DecisionEvent, decisionEvent } from "./decisionEvents.ts";
import { DecisionHistory } from "./decisionHistory.ts";

const limits = fc.record({
  maxConcurrent: fc.integer({ min: 1, max: 4 }),
  maxConcurrentPerNamespace: fc.integer({ min: 1, max: 3 }),
});

test("whatever happens, in whatever order: no conflict, no limit exceeded, nobody overtaken, everybody's turn comes", () => {
  fc.assert(
    fc.property(limits, fc.array(decisionEvent, { minLength: 20, maxLength: 90 }), (limit, events: DecisionEvent[]) => {
      const history = new DecisionHistory(limit);
      for (const event of events) {
        history.apply(event);
        history.check();
      }
      history.calmDown();
      for (let rounds = 0; history.all().some(({ status }) => !isTerminal(status?.phase)); rounds += 1) {
        if (rounds > 8 * history.operations.size) throw new Error("somebody's turn never comes");
        history.settleAll();
        history.check();
        history.work();
      }
      history.settleAll();
      expect(history.all().filter((operation) => history.decide(operation).action !== undefined)).toEqual([]);
    }),
    { numRuns: 2000 },
  );
});
