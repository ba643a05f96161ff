import { z } from "zod";

/** What the driver is called where a StorageClass, a volume or a VolumeSnapshotClass names it. */
export const DRIVER = "double.csi.operation-runner.test";

/** Bytes that each of its snapshots is said to have. */
export const SNAPSHOT_BYTES = 5 * 1024 ** 3;

const request = z.object({
  volume: z.string(),
  /** Those of the VolumeSnapshotClass, and which VolumeSnapshot it is for. */
  parameters: z.record(z.string(), z.string()),
});

/** A snapshot as the driver was asked for it. */
export type SnapshotRequest = z.infer<typeof request>;

/** Reads what the driver has written down, one JSON object a line. */
export function parseRequests(lines: string): SnapshotRequest[] {
  return lines
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => request.parse(JSON.parse(line)));
}

/** CSI snapshots on a cluster: the real controller and sidecar, and a double of a driver behind them. */
export interface SnapshotDriver {
  /** From now on the driver refuses every snapshot with these words; undefined: no more. */
  refuse(words: string | undefined): Promise<void>;
  /** The snapshots it made so far, oldest first. */
  snapshots(): Promise<SnapshotRequest[]>;
  /** Ends the programs and removes their files. Throws, with the end of its log, when one had ended by itself. */
  stop(): Promise<void>;
}
