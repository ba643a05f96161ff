import type { Logger } from "pino";
import type { OperationType } from "../../api/operation.ts";
import type { ConfigMap } from "../../kube/resources.ts";
import type { Store } from "../../kube/stores.ts";
import type { Settings } from "../settings.ts";
import type { JobTemplates } from "./buildJob.ts";
import { contradictions, invalidTemplate, parseTemplates } from "./parseTemplates.ts";

/** The Job templates as their ConfigMap has them now. A change takes effect at once. */
export class TemplateStore {
  #current: JobTemplates = parseTemplates(undefined);
  readonly #settings: Settings;
  readonly #logger: Logger;

  readonly #listeners: (() => void)[] = [];

  constructor(configMaps: Store<ConfigMap>, settings: Settings, logger: Logger) {
    this.#settings = settings;
    this.#logger = logger;
    configMaps.onChange((_, configMap) => {
      this.#current = parseTemplates(configMap);
      this.report();
      this.#notify();
    });
  }

  /** Calls the listener after each change from now on. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  get current(): JobTemplates {
    return this.#current;
  }

  /** Logs what is wrong with the templates. */
  report(): void {
    for (const state of Object.values(this.#current)) {
      if (!state.ok) this.#logger.error({ problem: state.problem }, "Job template cannot be used");
    }
    for (const warning of contradictions(this.#current, this.#settings)) this.#logger.warn(warning);
  }

  /**
   * Marks a template as unusable, because the API server refuses the Job made from it. It stays unusable until the ConfigMap
   * changes or the dispatcher starts again, so that the dispatcher does not send the same Job again and again.
   *
   * @param fields the fields of the Job that the API server refuses
   */
  markUnusable(type: OperationType, fields: readonly string[]): void {
    const problem = invalidTemplate(type, fields);
    this.#current = { ...this.#current, [type]: { ok: false, problem } };
    this.#logger.error({ type, problem }, "Job template cannot be used");
    this.#notify();
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}
