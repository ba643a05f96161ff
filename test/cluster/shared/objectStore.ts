import { randomBytes } from "node:crypto";
import { z } from "zod";
import type { Access } from "../access.ts";
import type { Bucket } from "../s3.ts";
import { kubectl, read } from "./kubernetesObjects.ts";

/** Where what the tests need of their own lies in a shared cluster. */
export const TEST_NAMESPACE = "operation-runner-test";

const NAME = "object-store";
const PORT = 9000;
const labels = { "app.kubernetes.io/name": NAME };

const keys = z.object({ data: z.object({ ROOT_ACCESS_KEY: z.base64(), ROOT_SECRET_KEY: z.base64() }) });

/** Installs an S3 gateway over an empty folder, with keys of its own, and waits until it serves. Safe to repeat. */
export async function installObjectStore(access: Access, image: string): Promise<void> {
  await access.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: TEST_NAMESPACE } }]);
  if ((await read(access, keys, "secret", TEST_NAMESPACE, NAME)) === undefined) {
    const stringData = {
      ROOT_ACCESS_KEY: `test-${randomBytes(6).toString("hex")}`,
      ROOT_SECRET_KEY: randomBytes(24).toString("base64url"),
    };
    await access.apply([
      { apiVersion: "v1", kind: "Secret", metadata: { name: NAME, namespace: TEST_NAMESPACE }, stringData },
    ]);
  }
  await access.apply([
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: NAME, namespace: TEST_NAMESPACE },
      spec: {
        replicas: 1,
        strategy: { type: "Recreate" },
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            automountServiceAccountToken: false,
            securityContext: { runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532 },
            containers: [
              {
                name: NAME,
                image,
                args: ["--port", `:${PORT}`, "--region", "us-east-1", "posix", "--sidecar", "/attributes", "/data"],
                envFrom: [{ secretRef: { name: NAME } }],
                ports: [{ containerPort: PORT }],
                readinessProbe: { tcpSocket: { port: PORT }, periodSeconds: 1 },
                volumeMounts: ["data", "attributes"].map((name) => ({ name, mountPath: `/${name}` })),
              },
            ],
            volumes: ["data", "attributes"].map((name) => ({ name, emptyDir: {} })),
          },
        },
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: NAME, namespace: TEST_NAMESPACE },
      spec: { selector: labels, ports: [{ port: PORT }] },
    },
  ]);
  await kubectl(access, ["rollout", "status", `deployment/${NAME}`, "-n", TEST_NAMESPACE, "--timeout=180s"]);
}

/** What `kubectl port-forward` is to forward to. */
export const OBJECT_STORE_PORT = { namespace: TEST_NAMESPACE, target: `service/${NAME}`, port: PORT };

/** The label by which the gateway's pod is found. */
export const OBJECT_STORE_SELECTOR = `app.kubernetes.io/name=${NAME}`;

/** A bucket of the gateway under its address in the cluster; it has to be made first. */
export async function bucketInCluster(access: Access): Promise<Bucket> {
  const secret = await read(access, keys, "secret", TEST_NAMESPACE, NAME);
  if (secret === undefined) throw new Error("the cluster has lost its object store");
  const text = (base64: string) => Buffer.from(base64, "base64").toString("utf8");
  return {
    endpoint: `http://${NAME}.${TEST_NAMESPACE}.svc:${PORT}`,
    region: "us-east-1",
    name: `velero-${randomBytes(4).toString("hex")}`,
    accessKeyId: text(secret.data.ROOT_ACCESS_KEY),
    secretAccessKey: text(secret.data.ROOT_SECRET_KEY),
  };
}
