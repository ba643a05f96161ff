import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type {
  V1ConfigMap,
  V1DownwardAPIVolumeFile,
  V1KeyToPath,
  V1Pod,
  V1Secret,
  V1ServiceAccountTokenProjection,
  V1Volume,
  V1VolumeProjection,
} from "@kubernetes/client-node";
import { podField } from "./env.ts";
import type { NamespaceObjects } from "./objects.ts";
import type { IssuedToken } from "./token.ts";

type Files = Record<string, Buffer | string>;

/** A token that lies in a volume and has to be renewed. */
export interface TokenFile {
  file: string;
  projection: V1ServiceAccountTokenProjection;
  issued: IssuedToken;
}

/** A pod's volumes as local folders, by volume name. */
export interface Volumes {
  folders: ReadonlyMap<string, string>;
  tokens: readonly TokenFile[];
}

/** Where the content of volumes comes from. */
export interface VolumeSources extends NamespaceObjects {
  token(projection: V1ServiceAccountTokenProjection): Promise<IssuedToken>;
}

/**
 * Makes every volume of a pod as a folder below `root`. Safe to call again after a failure.
 *
 * @throws Error when a ConfigMap, Secret or key that is not optional is missing, or a kind of volume is not honoured;
 * the message is the one to show with FailedMount
 */
export async function makeVolumes(pod: V1Pod, root: string, sources: VolumeSources): Promise<Volumes> {
  const folders = new Map<string, string>();
  const tokens: TokenFile[] = [];
  for (const volume of pod.spec?.volumes ?? []) {
    const folder = join(root, volume.name);
    const content = await volumeFiles(volume, pod, sources);
    await mkdir(folder, { recursive: true });
    for (const [path, data] of Object.entries(content.files)) {
      const file = join(folder, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, data, { mode: 0o600 });
    }
    for (const { path, ...token } of content.tokens) tokens.push({ ...token, file: join(folder, path) });
    folders.set(volume.name, folder);
  }
  return { folders, tokens };
}

interface Content {
  files: Files;
  tokens: (Omit<TokenFile, "file"> & { path: string })[];
}

async function volumeFiles(volume: V1Volume, pod: V1Pod, sources: VolumeSources): Promise<Content> {
  const { configMap, secret, projected, downwardAPI, emptyDir } = volume;
  if (emptyDir !== undefined) return { files: {}, tokens: [] };
  if (projected !== undefined) return projectedFiles(projected.sources ?? [], pod, sources);
  if (downwardAPI !== undefined) return { files: downwardFiles(downwardAPI.items, pod), tokens: [] };
  if (configMap !== undefined) return projectedFiles([{ configMap }], pod, sources);
  if (secret !== undefined) {
    const { secretName, ...rest } = secret;
    return projectedFiles(
      [{ secret: { ...rest, ...(secretName === undefined ? {} : { name: secretName }) } }],
      pod,
      sources,
    );
  }
  throw new Error(`the process node does not honour the kind of volume "${volume.name}"`);
}

async function projectedFiles(
  projections: readonly V1VolumeProjection[],
  pod: V1Pod,
  sources: VolumeSources,
): Promise<Content> {
  const files: Files = {};
  const tokens: Content["tokens"] = [];
  for (const { configMap, secret, downwardAPI, serviceAccountToken } of projections) {
    if (configMap !== undefined) {
      const { name = "", items, optional } = configMap;
      const found = await sources.configMap(name);
      if (found !== undefined)
        Object.assign(files, select(configMapFiles(found), items, optional, `configmap "${name}"`));
      else if (!optional) throw new Error(`configmap "${name}" not found`);
    } else if (secret !== undefined) {
      const { name = "", items, optional } = secret;
      const found = await sources.secret(name);
      if (found !== undefined) Object.assign(files, select(secretFiles(found), items, optional, `secret "${name}"`));
      else if (!optional) throw new Error(`secret "${name}" not found`);
    } else if (downwardAPI !== undefined) {
      Object.assign(files, downwardFiles(downwardAPI.items, pod));
    } else if (serviceAccountToken !== undefined) {
      const issued = await sources.token(serviceAccountToken);
      files[serviceAccountToken.path] = issued.token;
      tokens.push({ path: serviceAccountToken.path, projection: serviceAccountToken, issued });
    } else throw new Error("the process node does not honour this kind of projected volume");
  }
  return { files, tokens };
}

function select(all: Files, items: V1KeyToPath[] | undefined, optional: boolean | undefined, owner: string): Files {
  if (items === undefined) return all;
  const chosen: Files = {};
  for (const { key, path } of items) {
    const data = all[key];
    if (data !== undefined) chosen[path] = data;
    else if (!optional) throw new Error(`${owner} references non-existent key: ${key}`);
  }
  return chosen;
}

const decoded = (data: Record<string, string> = {}): Files =>
  Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64")]));

const configMapFiles = ({ data, binaryData }: V1ConfigMap): Files => ({ ...data, ...decoded(binaryData) });
const secretFiles = ({ data }: V1Secret): Files => decoded(data);

function downwardFiles(items: V1DownwardAPIVolumeFile[] | undefined, pod: V1Pod): Files {
  return Object.fromEntries(
    (items ?? []).map(({ path, fieldRef }) => {
      if (fieldRef === undefined) throw new Error(`the process node honours only fieldRef in a downwardAPI volume`);
      return [path, podField(pod, fieldRef.fieldPath)];
    }),
  );
}
