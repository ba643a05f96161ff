/**
 * Started by watchHost once the cluster's host has died without cleaning up:
 * ends what is left of the cluster and removes its folder.
 */
import { sweep } from "./sweep.ts";

const folder = process.argv[2];
if (folder === undefined) throw new Error("usage: cleanUpAfterHost.ts FOLDER");
await sweep(folder);
