import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { type Bucket, createBucket } from "../s3.ts";
import { type Component, freePort, startComponent } from "./component.ts";

/** A running S3 server with one empty bucket. */
export interface ObjectStoreServer {
  readonly bucket: Bucket;
  readonly component: Component;
}

/** Starts an S3 gateway over a folder, on a loopback port of its own, with new credentials and one bucket. */
export async function startObjectStore(folder: string, logs: string, program: string): Promise<ObjectStoreServer> {
  const data = path.join(folder, "object-store", "data");
  // Attributes go into a folder of their own: not every filesystem (tmpfs, some CI runners) has extended attributes.
  const attributes = path.join(folder, "object-store", "attributes");
  await mkdir(data, { recursive: true });
  await mkdir(attributes);
  const port = await freePort();
  const bucket: Bucket = {
    endpoint: `http://127.0.0.1:${port}`,
    region: "us-east-1",
    name: "velero",
    accessKeyId: `test-${randomBytes(6).toString("hex")}`,
    secretAccessKey: randomBytes(24).toString("base64url"),
  };
  const component = await startComponent({
    name: "object-store",
    command: program,
    args: ["--port", `127.0.0.1:${port}`, "--region", bucket.region, "posix", "--sidecar", attributes, data],
    env: { ...process.env, ROOT_ACCESS_KEY: bucket.accessKeyId, ROOT_SECRET_KEY: bucket.secretAccessKey },
    logs,
    ready: async () => {
      await createBucket(bucket);
      return true;
    },
  });
  return { bucket, component };
}
