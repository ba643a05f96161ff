import "../kube/fewObjects.ts";

// What carries the verbs out, as one part of the program: whoever asks for help or makes a mistake does not load it.
export { openAccess } from "./access.ts";
export { approve } from "./verbs/approve.ts";
export { cancel, rerun } from "./verbs/change.ts";
export { complete } from "./verbs/complete.ts";
export { deleteBackup } from "./verbs/deleteBackup.ts";
export { describe } from "./verbs/describe.ts";
export { doctor } from "./verbs/doctor.ts";
export { drill } from "./verbs/drill.ts";
export { get } from "./verbs/get.ts";
export { logs } from "./verbs/logs.ts";
export { backup, restore } from "./verbs/request.ts";
export { schedule } from "./verbs/schedule.ts";
export { status } from "./verbs/status.ts";
export { wait, watch } from "./verbs/wait.ts";
