import { parse, stringify } from "yaml";
import { z } from "zod";

const config = z.looseObject({
  kind: z.literal("Cluster").default("Cluster"),
  apiVersion: z.string().default("kind.x-k8s.io/v1alpha4"),
  nodes: z
    .array(z.looseObject({ role: z.string().optional(), extraMounts: z.array(z.unknown()).optional() }))
    .default([{ role: "control-plane" }]),
  kubeadmConfigPatches: z.array(z.string()).default([]),
});

/** Where the node has the audit policy, and its log. */
const POLICY = "/etc/kubernetes/audit-policy.json";
const LOG_FOLDER = "/var/log/kubernetes/audit";
export const AUDIT_LOG = `${LOG_FOLDER}/audit.log`;

const auditing = {
  kind: "ClusterConfiguration",
  apiServer: {
    extraArgs: {
      "audit-policy-file": POLICY,
      "audit-log-path": AUDIT_LOG,
      // Written before the client gets its answer, so a test that saw the answer finds the entry; never rotated away.
      "audit-log-mode": "blocking",
      "audit-log-maxsize": "100000",
    },
    extraVolumes: [
      { name: "audit-policy", hostPath: POLICY, mountPath: POLICY, readOnly: true, pathType: "File" },
      { name: "audit-log", hostPath: LOG_FOLDER, mountPath: LOG_FOLDER, pathType: "DirectoryOrCreate" },
    ],
  },
};

/**
 * A configuration for `kind create cluster`, with an API server that keeps an audit log.
 *
 * @param base kind's own configuration format, for what a machine or a network makes necessary; empty for none
 * @param policyFile of the audit, on this machine
 */
export function kindConfig(base: string, policyFile: string): string {
  const { nodes, kubeadmConfigPatches, ...rest } = config.parse(parse(base) ?? {});
  return stringify({
    ...rest,
    nodes: nodes.map((node) =>
      node.role === "worker"
        ? node
        : {
            ...node,
            extraMounts: [...(node.extraMounts ?? []), { hostPath: policyFile, containerPath: POLICY, readOnly: true }],
          },
    ),
    kubeadmConfigPatches: [...kubeadmConfigPatches, stringify(auditing)],
  });
}
