/** All that is needed to use a shared cluster from any process: JSON, no live parts. */
export interface SharedConnection {
  readonly driver: "kind" | "existing";
  readonly kubeconfig: string;
  /** Folder with kubectl in it. */
  readonly programs: string;
  /** Folder of ours, for what belongs to this cluster: kubectl's cache, kubeconfigs of users. */
  readonly folder: string;
}
