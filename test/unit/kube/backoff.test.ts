import fc from "fast-check";
import { expect, test } from "vitest";
import { backoffDelay } from "../../../src/kube/backoff.ts";

const bounds = { minMs: 100, maxMs: 5_000 };

test("doubles up to its bound", () => {
  expect([1, 2, 3, 4, 5, 6, 7, 8].map((failures) => backoffDelay(failures, bounds, 0))).toEqual([
    100, 200, 400, 800, 1600, 3200, 5000, 5000,
  ]);
});

test("chance takes off at most a half, however many failures", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100_000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (failures, random) => {
        const full = backoffDelay(failures, bounds, 0);
        const delay = backoffDelay(failures, bounds, random);
        expect(delay).toBeLessThanOrEqual(full);
        expect(delay).toBeGreaterThan(full / 2);
      },
    ),
  );
});
