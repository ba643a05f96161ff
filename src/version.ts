import manifest from "../package.json" with { type: "json" };

/** This program's version; also the tag of its image. */
export const VERSION: string = manifest.version;
