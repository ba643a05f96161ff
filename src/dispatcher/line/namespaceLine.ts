import { byAge, conflicts, type Entrant } from "./entrant.ts";
import { Sorted } from "./sorted.ts";

/** Work that goes on in a namespace although its Operation was deleted. */
export interface OrphanedWork {
  /** Whether it is a Backup. Everything else has to run alone in its namespace. */
  readonly isBackup: boolean;
  /** Its kind, namespace and name, for messages: `Backup velero/b1`, `Job vworkspace-system/b1-0123456789`. */
  readonly what: string;
}

/** Why an Operation cannot run beside the others in its namespace. docs/contract.md#conflicts. */
export type Conflict =
  | {
      readonly kind: "conflict";
      readonly other: Pick<Entrant, "type" | "name">;
      readonly otherIs: "under way" | "ahead";
    }
  /** Only work is in the way whose Operation was deleted. */
  | { readonly kind: "orphanedWork"; readonly what: string };

/**
 * The Operations of one namespace: those under way, and those that wait for their turn, the oldest first. An Operation waits for
 * those under way that conflict with it, whatever their age, and for older waiting ones that do. So no two wait for each other.
 */
export class NamespaceLine {
  readonly name: string;
  /**
   * When an Operation of it was last admitted, in milliseconds; {@link Line} sets it. The namespace with the lowest has the
   * next turn. Within one process each is one more than the last, so that no two are equal.
   */
  lastServedAt = 0;
  orphanedWork: readonly OrphanedWork[] = [];
  readonly #waiting = new Sorted<Entrant>(byAge);
  readonly #restores = new Sorted<Entrant>(byAge);
  readonly #underWay = new Map<string, Entrant>();

  constructor(name: string) {
    this.name = name;
  }

  add(entrant: Entrant): void {
    if (entrant.state === "underWay") {
      this.#underWay.set(entrant.uid, entrant);
      return;
    }
    this.#waiting.add(entrant);
    if (entrant.type === "Restore") this.#restores.add(entrant);
  }

  remove(entrant: Entrant): void {
    if (entrant.state === "underWay") {
      this.#underWay.delete(entrant.uid);
      return;
    }
    this.#waiting.remove(entrant);
    if (entrant.type === "Restore") this.#restores.remove(entrant);
  }

  get slots(): number {
    return this.#underWay.size;
  }

  /** How many of the waiting Operations could run now, beside each other, if there were room. */
  get readyCount(): number {
    const first = this.#waiting.at(0);
    if (first === undefined) return 0;
    if (first.type === "Restore") return this.#underWay.size === 0 && this.orphanedWork.length === 0 ? 1 : 0;
    if (this.#restoreIsHere()) return 0;
    const restore = this.#restores.at(0);
    return restore === undefined ? this.#waiting.length : this.#waiting.before(restore);
  }

  /** The index-th that waits, the oldest first. The first {@link readyCount} have the same type. */
  at(index: number): Entrant | undefined {
    return this.#waiting.at(index);
  }

  /** The Operations whose messages may change when something changes at the front. */
  front(): Entrant[] {
    const [first, restore] = [this.#waiting.at(0), this.#restores.at(0)];
    return [first, restore].filter((entrant) => entrant !== undefined);
  }

  /** What is in the way of an Operation that waits here: of several Operations, the one right before it. */
  conflictOf(self: Entrant): Conflict | undefined {
    const running = [...this.#underWay.values()]
      .filter((other) => other.uid !== self.uid && conflicts(self, other))
      .sort(byAge);
    const before = running.filter((other) => byAge(other, self) < 0).at(-1);
    const line = self.type === "Restore" ? this.#waiting : this.#restores;
    const ahead = line.at(line.before(self) - 1);
    if (ahead !== undefined && (before === undefined || byAge(before, ahead) < 0)) {
      return { kind: "conflict", other: ahead, otherIs: "ahead" };
    }
    const other = before ?? running[0];
    if (other !== undefined) return { kind: "conflict", other, otherIs: "under way" };
    const left = this.orphanedWork.find(({ isBackup }) => self.type === "Restore" || !isBackup);
    return left && { kind: "orphanedWork", what: left.what };
  }

  #restoreIsHere(): boolean {
    if (this.orphanedWork.some(({ isBackup }) => !isBackup)) return true;
    for (const { type } of this.#underWay.values()) if (type === "Restore") return true;
    return false;
  }
}
