import { randomBytes } from "node:crypto";
import pino from "pino";
import { connect as connectTo, type KubeClient } from "../../../src/kube/client.ts";
import { namespaces } from "../../../src/kube/resources.ts";

export const silent = pino({ level: "silent" });

/** A client of the product's own kind for whoever that kubeconfig authenticates. */
export function connect(kubeconfig: string): KubeClient {
  return connectTo({ KUBECONFIG: kubeconfig }, { component: "test", version: "0.0.0" });
}

/** Makes a namespace of a fresh name: test files share one cluster. */
export async function freshNamespace(client: KubeClient): Promise<string> {
  const name = `kube-${randomBytes(4).toString("hex")}`;
  await client.create(namespaces, { metadata: { name } });
  return name;
}
