/** Of users in this group every request is recorded, whatever it is for. */
export const AUDITED_GROUP = "operation-runner-test:audited";

/**
 * What the API server writes into its audit log, for tests to read: every
 * request of a ServiceAccount, and every request for the objects this project
 * works with; bodies of writes to those. The log is complete when the request's
 * answer arrives (RequestReceived would only double it).
 */
export const auditPolicy = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [
    {
      level: "Request",
      verbs: ["create", "update", "patch", "delete", "deletecollection"],
      resources: [{ group: "ops.vworkspace.io" }, { group: "velero.io" }, { group: "batch" }],
    },
    { level: "Metadata", resources: [{ group: "ops.vworkspace.io" }, { group: "velero.io" }, { group: "batch" }] },
    { level: "Metadata", userGroups: ["system:serviceaccounts"] },
    { level: "Metadata", userGroups: [AUDITED_GROUP] },
    { level: "None" },
  ],
};
