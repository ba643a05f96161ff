import { contradictions, parseTemplates, TEMPLATES_CONFIG_MAP } from "../../../dispatcher/templates/parseTemplates.ts";
import { both, type Check, judge, MANIFESTS, ok, problem, warning } from "../finding.ts";

export const templates: Check = (seen) =>
  judge("templates", both(seen.templates, both(seen.namespace, seen.settings)), ([configMap, [namespace, read]]) => {
    if (configMap === undefined) {
      const message = `ConfigMap ${TEMPLATES_CONFIG_MAP} in namespace ${seen.systemNamespace} does not exist`;
      return problem("templates", message, MANIFESTS);
    }
    const parsed = parseTemplates(configMap);
    const broken = Object.values(parsed).flatMap((state) => (state.ok ? [] : [state.problem]));
    const correct = "correct the ConfigMap operation-jobs; jobs/ in the source has the shipped ones";
    if (broken.length > 0) return broken.map((why) => problem("templates", why, correct));
    const listed = (namespace?.metadata.annotations?.[IMAGES] ?? "").split(",").map((entry) => entry.trim());
    const images = Object.values(parsed).flatMap((state) =>
      state.ok ? state.template.spec.template.spec.containers.map(({ image }) => image) : [],
    );
    const strangers = [...new Set(images)].filter((image) => !listed.some((entry) => isListed(image, entry)));
    if (strangers.length > 0) {
      const remedy = `add it to the annotation ${IMAGES} of namespace ${seen.systemNamespace}, or name another image in the ConfigMap operation-jobs`;
      return problem("templates", `the dispatcher may not make Jobs of ${strangers.join(", ")}`, remedy);
    }
    const differs = typeof read === "object" ? contradictions(parsed, read) : [];
    if (differs.length > 0) return differs.map((why) => warning("templates", why, correct));
    return ok("templates", `both can be used, image ${[...new Set(images)].join(", ")}`);
  });

const IMAGES = "ops.vworkspace.io/job-images";

/** As the policy dispatcher-job has it: an entry without tag or digest stands for every one. */
function isListed(image: string, entry: string): boolean {
  if (entry === "" || !image.startsWith(entry)) return false;
  return /^(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?(@sha256:[0-9a-f]{64})?$/.test(image.slice(entry.length));
}
