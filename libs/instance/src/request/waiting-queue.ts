// Requests that hold no blocks yet, in serving order.
//
// 1. Sorted by compareRequests with the head at the end of the array, so that taking the head moves nothing.
// 2. A request's sort keys do not change while it is in the queue.
import { compareRequests } from './request.ts'
import type { InstanceRequest } from './request.ts'

export class WaitingQueue {
  readonly #reversed: InstanceRequest[] = []

  get size(): number {
    return this.#reversed.length
  }

  /** The request served `place`-th from now, 0 being the head. */
  at(place: number): InstanceRequest | undefined {
    return this.#reversed[this.#reversed.length - 1 - place]
  }

  /** The first that waits for nothing but room; null: none does. */
  get head(): InstanceRequest | null {
    for (const request of this) if (!request.isHeld) return request
    return null
  }

  add(request: InstanceRequest): void {
    this.#reversed.splice(this.#place(request), 0, request)
  }

  /** Returns whether it was there. O(log n) to find. */
  remove(request: InstanceRequest): boolean {
    const place = this.#place(request)
    if (this.#reversed[place] !== request) return false
    this.#reversed.splice(place, 1)
    return true
  }

  /** Head first. */
  *[Symbol.iterator](): Generator<InstanceRequest> {
    for (let place = 0; place < this.size; place++) yield this.at(place)!
  }

  /** First place whose request is not served after `request`. */
  #place(request: InstanceRequest): number {
    let low = 0
    let high = this.#reversed.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareRequests(this.#reversed[middle]!, request) > 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
