/** Values in an order, each once; to find, add or take out one costs a binary search. */
export class Sorted<T> {
  readonly #values: T[] = [];
  readonly #compare: (a: T, b: T) => number;

  /** @param compare 0 for the same value only */
  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  get length(): number {
    return this.#values.length;
  }

  at(index: number): T | undefined {
    return this.#values[index];
  }

  /** How many values come before this one, whether or not it is there. */
  before(value: T): number {
    let [low, high] = [0, this.#values.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(this.#values[middle] as T, value) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  add(value: T): void {
    this.#values.splice(this.before(value), 0, value);
  }

  remove(value: T): void {
    const index = this.before(value);
    const found = this.#values[index];
    if (found !== undefined && this.#compare(found, value) === 0) this.#values.splice(index, 1);
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this.#values.values();
  }
}
