/** A mount of a container: the path inside it, and the local file or folder that stands for it. */
export interface Mount {
  mountPath: string;
  localPath: string;
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
const trimmed = (path: string): string => (path.length > 1 ? path.replace(/\/+$/, "") : path);

/**
 * Replaces mount paths in a text by their local paths. There is no mount namespace here, so a container's arguments and
 * variables must name the local folder. The rule: every occurrence of a mountPath that starts a path and is equal to it
 * or a parent of it is replaced, the longest mountPath first; `/etc/app` is found in `--dir=/etc/app/x`, but not in
 * `/etc/apps` or in `/opt/etc/app`.
 */
export function translatePaths(text: string, mounts: readonly Mount[]): string {
  if (mounts.length === 0) return text;
  const local = new Map(mounts.map(({ mountPath, localPath }) => [trimmed(mountPath), localPath]));
  const alternatives = [...local.keys()].sort((a, b) => b.length - a.length).map(escaped);
  const pattern = new RegExp(`(?<![\\w./-])(?:${alternatives.join("|")})(?![\\w.-])`, "g");
  return text.replace(pattern, (found) => local.get(found) ?? found);
}
