import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jobName, labelValue, veleroNames } from "../../../src/api/names.ts";

const DNS_SUBDOMAIN = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/;
const operationName = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/);

describe("jobName", () => {
  it("is the same whenever it is asked, and another for each attempt and each Operation", () => {
    const operation = { name: "nightly", uid: "6b62" };
    expect(jobName(operation, 1)).toMatch(/^nightly-[0-9a-f]{10}$/);
    expect(jobName(operation, 1)).toBe(jobName({ ...operation }, 1));
    expect(jobName(operation, 2)).not.toBe(jobName(operation, 1));
    expect(jobName({ ...operation, uid: "7c4f" }, 1)).not.toBe(jobName(operation, 1));
  });

  it("always fits into a label and is a legal name", () => {
    fc.assert(
      fc.property(operationName, fc.uuid(), fc.integer({ min: 1, max: 1e6 }), (name, uid, attempt) => {
        const job = jobName({ name, uid }, attempt);
        expect(job.length).toBeLessThanOrEqual(63);
        expect(job).toMatch(DNS_SUBDOMAIN);
      }),
    );
  });
});

describe("veleroNames", () => {
  it("tries the Operation's own name for the first attempt only", () => {
    const operation = { name: "nightly", uid: "6b62" };
    const [first, second, ...rest] = veleroNames(operation, 1);
    expect(first).toBe("nightly");
    expect(second).toMatch(/^nightly-[0-9a-f]{8}$/);
    expect(rest).toEqual([]);
    const [again, ...none] = veleroNames(operation, 2);
    expect(again).toMatch(/^nightly-[0-9a-f]{8}$/);
    expect(again).not.toBe(second);
    expect(none).toEqual([]);
  });

  it("never yields a name over 63 characters, which would leak moved data in Velero", () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/),
        fc.uuid(),
        fc.constantFrom(1, 2),
        (name, uid, attempt) => {
          for (const velero of veleroNames({ name, uid }, attempt)) {
            expect(velero.length).toBeLessThanOrEqual(63);
            expect(velero).toMatch(DNS_SUBDOMAIN);
          }
        },
      ),
    );
  });
});

describe("labelValue", () => {
  it("keeps what fits", () => {
    expect(labelValue("a".repeat(63))).toBe("a".repeat(63));
  });

  it("cuts the rest as Velero does", () => {
    // sha256("a" x 64) begins with ffe054
    expect(labelValue("a".repeat(64))).toBe(`${"a".repeat(57)}ffe054`);
  });
});
