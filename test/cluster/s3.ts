import { createHash, createHmac } from "node:crypto";

/** An S3 bucket and how to get at it. */
export interface Bucket {
  /** URL of the S3 server, without the bucket. */
  readonly endpoint: string;
  readonly region: string;
  readonly name: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** An object in a bucket. */
export interface StoredObject {
  readonly key: string;
  /** Size in bytes. */
  readonly size: number;
}

/** Makes the bucket; one that exists stays as it is. */
export async function createBucket(bucket: Bucket): Promise<void> {
  const response = await send(bucket, "PUT", "");
  if (!response.ok && response.status !== 409) throw await unexpected(response);
}

/** All objects whose key begins with `prefix`, by key. */
export async function listObjects(bucket: Bucket, prefix: string): Promise<StoredObject[]> {
  const found: StoredObject[] = [];
  let token: string | undefined;
  do {
    const query = { "list-type": "2", prefix, ...(token === undefined ? {} : { "continuation-token": token }) };
    const response = await send(bucket, "GET", "", query);
    if (!response.ok) throw await unexpected(response);
    const xml = await response.text();
    for (const [, entry = ""] of xml.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
      found.push({ key: element(entry, "Key") ?? "", size: Number(element(entry, "Size")) });
    }
    token = element(xml, "NextContinuationToken");
  } while (token !== undefined);
  return found;
}

/** The content of an object; undefined when there is none. */
export async function readObject(bucket: Bucket, key: string): Promise<Buffer | undefined> {
  const response = await send(bucket, "GET", key);
  if (response.status === 404) return undefined;
  if (!response.ok) throw await unexpected(response);
  return Buffer.from(await response.arrayBuffer());
}

/** Stores an object, over the one that is there. */
export async function writeObject(bucket: Bucket, key: string, content: Buffer): Promise<void> {
  const response = await send(bucket, "PUT", key, {}, content);
  if (!response.ok) throw await unexpected(response);
}

function element(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>(.*?)</${name}>`, "s").exec(xml)?.[1];
  return text?.replace(/&(lt|gt|quot|apos|amp);/g, (_, entity: keyof typeof entities) => entities[entity]);
}

const entities = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

async function unexpected(response: Response): Promise<Error> {
  const body = await response.text();
  return new Error(`object store answered ${response.status}: ${element(body, "Message") ?? body.slice(0, 200)}`);
}

const sha256 = (text: string | Buffer) => createHash("sha256").update(text).digest("hex");
const hmac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest();
const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);

/** Sends a request, signed with AWS Signature Version 4, path-style. */
async function send(
  bucket: Bucket,
  method: string,
  key: string,
  query: Record<string, string> = {},
  body: Buffer = Buffer.alloc(0),
): Promise<Response> {
  const path = `/${[bucket.name, ...key.split("/")].map(encode).join("/")}`.replace(/\/$/, "");
  const search = Object.entries(query)
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join("&");
  const url = new URL(`${path}${search === "" ? "" : `?${search}`}`, bucket.endpoint);
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  const headers = { host: url.host, "x-amz-content-sha256": sha256(body), "x-amz-date": time };
  const signed = Object.keys(headers).join(";");
  const canonicalHeaders = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
  const request = [method, path, search, canonicalHeaders.join(""), signed, sha256(body)].join("\n");
  const scope = `${time.slice(0, 8)}/${bucket.region}/s3/aws4_request`;
  const secret = `AWS4${bucket.secretAccessKey}`;
  const signingKey = scope.split("/").reduce((derived: string | Buffer, part) => hmac(derived, part), secret);
  const signature = hmac(signingKey, ["AWS4-HMAC-SHA256", time, scope, sha256(request)].join("\n")).toString("hex");
  const authorization = `AWS4-HMAC-SHA256 Credential=${bucket.accessKeyId}/${scope}, SignedHeaders=${signed}, Signature=${signature}`;
  return fetch(url, {
    method,
    headers: { ...headers, authorization },
    ...(method === "PUT" && { body: new Uint8Array(body) }),
  });
}
