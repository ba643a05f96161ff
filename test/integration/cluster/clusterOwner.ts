/**
 * Owns a cluster (`api` or `full`, the argument) until it is ended from outside. Says what it does and then the
 * connection, one JSON value a line.
 */
import { tier } from "../../cluster/embedded/connection.ts";
import { startCluster } from "../../cluster/startCluster.ts";

const cluster = await startCluster({
  tier: tier.parse(process.argv[2]),
  env: process.env,
  progress: (line) => console.log(JSON.stringify({ progress: line })),
});
console.log(JSON.stringify({ connection: cluster.connection }));
setInterval(() => undefined, 2 ** 30);
