import { expect, test } from "vitest";
import { requestsOf } from "../../bench/requests.ts";
import type { AuditEvent } from "../../cluster/audit.ts";

const RUNNER = "system:serviceaccount:vworkspace-system:operation-backup-runner";
const DISPATCHER = "system:serviceaccount:vworkspace-system:operation-dispatcher";

function event(change: Partial<AuditEvent> & { resource?: string; subresource?: string }): AuditEvent {
  const { resource = "backups", subresource = "", ...rest } = change;
  return {
    auditID: "1",
    stage: "ResponseComplete",
    verb: "get",
    requestURI: "/apis",
    user: { username: RUNNER, groups: [] },
    userAgent: "",
    objectRef: { apiGroup: "", apiVersion: "", resource, subresource, namespace: "", name: "", resourceVersion: "" },
    requestReceivedTimestamp: "2026-01-01T00:00:01.000000Z",
    ...rest,
  };
}

const [FROM, TO] = [Date.parse("2026-01-01T00:00:00Z"), Date.parse("2026-01-01T00:00:02Z")];

test("each request of the two programs counts, by who asked for what", () => {
  const audit = [
    event({ verb: "create" }),
    event({
      user: { username: DISPATCHER, groups: [] },
      verb: "update",
      resource: "operations",
      subresource: "status",
    }),
  ];
  expect(requestsOf(audit, FROM, TO)).toEqual(["runner create backups", "dispatcher update operations/status"]);
});

test("a watch counts once: when it begins", () => {
  const watch = (stage: string) => event({ verb: "watch", stage });
  expect(requestsOf([watch("ResponseStarted"), watch("ResponseComplete")], FROM, TO)).toEqual(["runner watch backups"]);
});

test("others, other times and the Lease do not count", () => {
  const audit = [
    event({ user: { username: "admin", groups: [] } }),
    event({ requestReceivedTimestamp: "2026-01-01T00:00:03.000000Z" }),
    event({ user: { username: DISPATCHER, groups: [] }, resource: "leases" }),
  ];
  expect(requestsOf(audit, FROM, TO)).toEqual([]);
});
