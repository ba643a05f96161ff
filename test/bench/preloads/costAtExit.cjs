// Loaded into a runner by --require: says at its end what it has cost, as a line of its log.
const { writeSync } = require("node:fs");

process.once("exit", () => {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  // Microseconds and KiB.
  const cost = { cpuMs: (userCPUTime + systemCPUTime) / 1000, peakMB: maxRSS / 1024 };
  writeSync(1, `${JSON.stringify({ cost })}\n`);
});
