import { expect, test } from "vitest";
import { redacted, redactedNotes } from "../../../src/runner/hideVeleroMessages.ts";
import { verdict } from "../../../src/runner/verdict.ts";
import { fakeVelero } from "./fakeVelero.ts";
import { backup } from "./veleroObjects.ts";

const SECRET = "AccessDenied: arn:aws:iam::123456789012:role/velero on bucket s3://prod-backups";

async function contexts() {
  const { context } = await fakeVelero({});
  return { open: context, closed: { ...context, settings: { ...context.settings, hideVeleroMessages: true } } };
}

test.each([
  ["fails", backup({ phase: "Failed", failureReason: SECRET })],
  ["is refused", backup({ phase: "FailedValidation", validationErrors: [SECRET] })],
])("of a Backup that %s an Operation passes Velero's words on, unless the admin keeps them", async (_, object) => {
  const { open, closed } = await contexts();
  const tell = (context: typeof open) =>
    JSON.stringify(verdict({ type: "Backup", object: redacted(context, object), byCancel: false }));
  expect(tell(open)).toContain(SECRET);
  expect(tell(closed)).not.toContain("arn:aws");
  expect(tell(closed)).toContain(`kubectl get backups.velero.io ${object.metadata.name} -n velero`);
});

test("of warnings and errors it keeps the count", async () => {
  const { open, closed } = await contexts();
  const object = backup({ phase: "PartiallyFailed" });
  expect(redactedNotes(open, [SECRET, SECRET], object)).toEqual([SECRET, SECRET]);
  expect(redactedNotes(closed, [SECRET, SECRET], object)).toEqual([expect.stringMatching(/^2 messages from Velero: /)]);
  expect(redactedNotes(closed, [], object)).toEqual([]);
});
