import { z } from "zod";

const auditEvent = z.object({
  auditID: z.string(),
  /** ResponseStarted (a watch that began) or ResponseComplete. */
  stage: z.string(),
  verb: z.string(),
  requestURI: z.string(),
  user: z.object({ username: z.string(), groups: z.array(z.string()).default([]) }),
  userAgent: z.string().default(""),
  objectRef: z
    .object({
      apiGroup: z.string().default(""),
      apiVersion: z.string().default(""),
      resource: z.string().default(""),
      subresource: z.string().default(""),
      namespace: z.string().default(""),
      name: z.string().default(""),
      resourceVersion: z.string().default(""),
    })
    .optional(),
  responseStatus: z.object({ code: z.number(), reason: z.string().default("") }).optional(),
  /** The body of a write, where the audit policy records it. */
  requestObject: z.unknown().optional(),
  requestReceivedTimestamp: z.string(),
});

/** One answered request, as in audit.k8s.io/v1 Event. */
export type AuditEvent = z.infer<typeof auditEvent>;

/** Parses an API server's audit log (JSON lines). A line still being written is left out. */
export function parseAuditLog(text: string): AuditEvent[] {
  const lines = text.slice(0, text.lastIndexOf("\n") + 1).split("\n");
  return lines.filter((line) => line !== "").map((line) => auditEvent.parse(JSON.parse(line)));
}
