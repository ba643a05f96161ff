import "../kube/fewObjects.ts";

// What carries out the verbs that people use all day, as one part of the program (build/parts.ts): they need few modules, and start in
// less time than the others (furtherVerbs.ts).
export { openAccess } from "./access.ts";
export { cancel, rerun } from "./verbs/change.ts";
export { complete } from "./verbs/complete.ts";
export { describe } from "./verbs/describe.ts";
export { get } from "./verbs/get.ts";
export { status } from "./verbs/status.ts";
export { wait, watch } from "./verbs/wait.ts";
