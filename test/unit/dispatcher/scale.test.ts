import fc from "fast-check";
import { expect, test } from "vitest";
import { isTerminal } from "../../../src/api/operation.ts";
import { DecisionHistory } from "../histories/decisions/decisionHistory.ts";

const COUNT = 150;

const team = fc.record({
  namespace: fc.constantFrom("org-a", "org-b", "org-c"),
  isRestore: fc.nat(9),
  second: fc.nat(59),
});

// The timeout is for a test that hangs.
test("150 Operations of three teams, all at once: all end, and waiting is not told over and over", () => {
  fc.assert(
    fc.property(fc.array(team, { minLength: COUNT, maxLength: COUNT }), (wanted) => {
      const history = new DecisionHistory({ maxConcurrent: 25, maxConcurrentPerNamespace: 10 });
      history.concurrentBackups = 24;
      for (const { namespace, isRestore, second } of wanted) {
        const creationTimestamp = `2026-11-22T10:00:${String(second).padStart(2, "0")}Z`;
        history.add({ namespace, type: isRestore === 0 ? "Restore" : "Backup", creationTimestamp });
      }
      let writes = 0;
      const pending = () => history.all().filter(({ status }) => !isTerminal(status?.phase));
      for (let waiting = pending(); waiting.length > 0; waiting = pending()) {
        let idle = true;
        for (const operation of waiting) {
          const action = history.act(operation);
          if (action !== undefined) idle = false;
          if (action?.kind === "writeStatus") writes += 1;
        }
        history.check();
        if (idle) history.work();
      }
      // Each is held back, queued and admitted; the rest is its way through the first ten positions.
      expect(writes / COUNT).toBeLessThan(8);
    }),
    { numRuns: 1, endOnFailure: true },
  );
}, 300_000);
