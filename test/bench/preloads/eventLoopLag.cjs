// Loaded into a dispatcher by --require: tells its parent, when asked, how late its event loop was since the last time it
// was asked. Ends with its parent.
const { monitorEventLoopDelay } = require("node:perf_hooks");

const RESOLUTION_MS = 10;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();
// Measured from one look to the next, which is the resolution where nothing is late.
const lateMs = (nanoseconds) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);

process.on("message", () => {
  process.send({ p99: lateMs(delay.percentile(99)), worst: lateMs(delay.max) });
  delay.reset();
});
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
process.channel.unref();
