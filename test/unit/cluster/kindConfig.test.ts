import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { kindConfig } from "../../cluster/kind/config.ts";

const mount = { hostPath: "/policy.json", containerPath: "/etc/kubernetes/audit-policy.json", readOnly: true };

describe("the configuration for kind", () => {
  it("is one node with an audit log where nothing else is asked for", () => {
    const config = parse(kindConfig("", "/policy.json"));
    expect(config).toMatchObject({
      kind: "Cluster",
      apiVersion: "kind.x-k8s.io/v1alpha4",
      nodes: [{ role: "control-plane", extraMounts: [mount] }],
    });
    expect(parse(config.kubeadmConfigPatches[0])).toMatchObject({
      apiServer: { extraArgs: { "audit-log-mode": "blocking" } },
    });
  });

  it("keeps what a machine or a network makes necessary", () => {
    const base = `
networking: { disableDefaultCNI: true }
kubeadmConfigPatches: ["kind: KubeletConfiguration"]
nodes:
  - role: control-plane
    extraMounts: [{ hostPath: /certificates, containerPath: /certificates }]
  - role: worker
`;
    expect(parse(kindConfig(base, "/policy.json"))).toMatchObject({
      networking: { disableDefaultCNI: true },
      kubeadmConfigPatches: ["kind: KubeletConfiguration", expect.stringContaining("ClusterConfiguration")],
      nodes: [
        { role: "control-plane", extraMounts: [{ hostPath: "/certificates", containerPath: "/certificates" }, mount] },
        { role: "worker" },
      ],
    });
  });
});
