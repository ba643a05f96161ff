import "../kube/fewObjects.ts";

// What carries out all other verbs, as one part of the program. It opens the cluster itself: a part knows its own errors alone.
export { openAccess } from "./access.ts";
export { approve } from "./verbs/approve.ts";
export { deleteBackup } from "./verbs/deleteBackup.ts";
export { doctor } from "./verbs/doctor.ts";
export { drill } from "./verbs/drill.ts";
export { logs } from "./verbs/logs.ts";
export { backup, restore } from "./verbs/request.ts";
export { schedule } from "./verbs/schedule.ts";
