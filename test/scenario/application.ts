import type { Cluster } from "../cluster/cluster.ts";
import { APPLICATION_IMAGE } from "../cluster/images/images.ts";
import { waitFor } from "./platform.ts";

/** A small application as a team would have it: configuration, a secret, something that runs, and its description. */
export function sampleApplication(namespace: string): object[] {
  const labels = { "app.kubernetes.io/name": "shop" };
  const configMap = (name: string, data: Record<string, string>) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace, labels },
    data,
  });
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    configMap("shop-settings", { theme: "dark", currency: "EUR" }),
    configMap("shop-texts", { welcome: "Welcome to the shop" }),
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "shop-token", namespace, labels },
      stringData: { token: "s3cr3t" },
    },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "shop", namespace, labels },
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: { containers: [{ name: "shop", image: APPLICATION_IMAGE }] },
        },
      },
    },
    {
      apiVersion: "apps.vworkspace.io/v1alpha1",
      kind: "ApplicationInstance",
      metadata: {
        name: "shop",
        namespace,
        annotations: { "ops.vworkspace.io/backup": "velero", "ops.vworkspace.io/restore": "velero" },
      },
      spec: { appRef: { catalogId: "shop" }, release: { name: "shop", namespace } },
    },
  ];
}

/** Installs the sample application and waits until it runs and is described as Ready. */
export async function installApplication(cluster: Cluster, namespace: string): Promise<void> {
  await cluster.apply(sampleApplication(namespace));
  await waitFor(cluster, ["deployment/shop", "-n", namespace], "condition=Available");
  // What the platform's own controller does once the application is up.
  const ready = {
    type: "Ready",
    status: "True",
    reason: "Installed",
    message: "shop is running",
    lastTransitionTime: new Date().toISOString(),
  };
  const patch = JSON.stringify({ status: { conditions: [ready] } });
  const patched = await cluster.kubectl([
    "patch",
    "applicationinstance/shop",
    "-n",
    namespace,
    "--subresource=status",
    "--type=merge",
    "-p",
    patch,
  ]);
  if (patched.code !== 0) throw new Error(patched.stderr);
}

/** What of the sample application is in a namespace, with its content: equal for two namespaces that hold the same. */
export async function contentOf(cluster: Cluster, namespace: string): Promise<string[]> {
  const columns = "KIND:.kind,NAME:.metadata.name,DATA:.data,REPLICAS:.spec.replicas,RELEASE:.spec.appRef";
  const kinds = "configmaps,secrets,deployments,applicationinstances";
  const list = ["get", kinds, "-n", namespace, "--no-headers", "-o", `custom-columns=${columns}`];
  const { stdout } = await cluster.kubectl(list);
  return stdout
    .split("\n")
    .map((line) => line.trim().replace(/\s+/g, " "))
    .filter((line) => line !== "" && !line.includes("kube-root-ca.crt"))
    .sort();
}
