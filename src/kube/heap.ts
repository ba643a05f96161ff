/**
 * Gives out the first of its values, in the order of `before`. Adding or taking a value takes time logarithmic in their
 * number.
 */
export class Heap<T> {
  readonly #values: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  peek(): T | undefined {
    return this.#values[0];
  }

  push(value: T): void {
    let at = this.#values.push(value) - 1;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!this.#swapUnlessOrdered(parent, at)) return;
      at = parent;
    }
  }

  pop(): T | undefined {
    const [first] = this.#values;
    const last = this.#values.pop();
    if (last === undefined || this.#values.length === 0) return first;
    this.#values[0] = last;
    for (let at = 0; ; ) {
      const child = this.#firstChild(at);
      if (child === undefined || !this.#swapUnlessOrdered(at, child)) return first;
      at = child;
    }
  }

  #firstChild(at: number): number | undefined {
    const [left, right] = [2 * at + 1, 2 * at + 2];
    if (left >= this.#values.length) return undefined;
    if (right >= this.#values.length) return left;
    return this.#before(this.#values[right] as T, this.#values[left] as T) ? right : left;
  }

  #swapUnlessOrdered(parent: number, child: number): boolean {
    const [upper, lower] = [this.#values[parent] as T, this.#values[child] as T];
    if (!this.#before(lower, upper)) return false;
    this.#values[parent] = lower;
    this.#values[child] = upper;
    return true;
  }
}
