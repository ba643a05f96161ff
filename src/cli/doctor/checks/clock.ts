import { age } from "../../human.ts";
import { type Check, judge, ok, warning } from "../finding.ts";

const MAX_SKEW_MS = 5000;

export const clock: Check = ({ clockAheadMs }) =>
  judge("clock", clockAheadMs, (aheadMs) => {
    if (Math.abs(aheadMs) <= MAX_SKEW_MS) return ok("clock", "this machine's and the API server's agree");
    const how = `${age(Math.abs(aheadMs))} ${aheadMs > 0 ? "behind" : "ahead of"} the API server's`;
    return warning(
      "clock",
      `this machine's clock is ${how}`,
      "set the clocks by NTP: expiries and ages are told by them",
    );
  });
