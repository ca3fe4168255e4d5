// A list of numbers in one growing buffer: eight bytes each, however many.

export class NumberList {
  #values = new Float64Array(1024)
  #length = 0

  get length(): number {
    return this.#length
  }

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const grown = new Float64Array(2 * this.#length)
      grown.set(this.#values)
      this.#values = grown
    }
    this.#values[this.#length++] = value
  }

  /** A copy, in order of arrival. */
  values(): Float64Array {
    return this.#values.slice(0, this.#length)
  }

  sorted(): Float64Array {
    return this.values().sort()
  }
}
