import { stringify } from "yaml";

const HOME = "https://github.com/vworkspace-io/operation-runner";

/**
 * The manifest by which krew installs the commands for people. Krew refuses names of things that others could mean as well, such as
 * `operation`, so there the plugin is `kubectl operation-runner`.
 *
 * @param sha256 of the npm package, in hexadecimal; it is an asset of the GitHub release of its version
 */
export function krewManifest({ version, sha256 }: { version: string; sha256: string }): string {
  return stringify({
    apiVersion: "krew.googlecontainertools.github.com/v1alpha2",
    kind: "Plugin",
    metadata: { name: "operation-runner" },
    spec: {
      version: `v${version}`,
      homepage: HOME,
      shortDescription: "Back up and restore namespaces by Operations",
      description:
        "Asks for backups and restores as Operations (ops.vworkspace.io), which Velero carries out: creates, watches,\nwaits for, cancels and repeats them, and says why one waits. Needs operation-runner in the cluster.\n",
      caveats: "Needs Node.js 22.19 or newer in PATH.\n",
      platforms: [
        {
          selector: { matchExpressions: [{ key: "os", operator: "In", values: ["darwin", "linux"] }] },
          uri: `${HOME}/releases/download/v${version}/operation-runner-${version}.tgz`,
          sha256,
          files: [
            { from: "package/dist", to: "dist" },
            { from: "package/package.json", to: "." },
            { from: "package/LICENSE", to: "." },
          ],
          bin: "dist/operation-runner.js",
        },
      ],
    },
  });
}
