/** Owns a cluster until it is ended from outside: says `starting` first, then the connection, one JSON value a line. */
import { startCluster } from "../../cluster/startCluster.ts";

const cluster = await startCluster({
  tier: "api",
  env: process.env,
  progress: (line) => console.log(JSON.stringify({ progress: line })),
});
console.log(JSON.stringify({ connection: cluster.connection }));
setInterval(() => undefined, 2 ** 30);
