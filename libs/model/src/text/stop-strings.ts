// Stop strings over a stream of text deltas (Aho-Corasick over UTF-16 units).
//
// 1. Emitted text + held-back text = all text pushed, until a stop string matches.
// 2. Held back is exactly the longest suffix that is a proper prefix of some stop string: nothing that could still be cut is emitted,
//    nothing that cannot be is delayed.
// 3. The result does not depend on how the text is split into deltas.
import { InvalidArgument } from '@rubato/config'

export const MAX_STOP_STRINGS = 16

export interface StopResult {
  /** Text that is safe to show, in order; never part of a stop string. */
  readonly emit: string
  /** The stop string that ended the text, or null while it goes on. */
  readonly stopped: string | null
}

/** One automaton state: a prefix of some stop string. */
interface State {
  readonly next: Map<number, State>
  /** The state of the longest proper suffix of this prefix; the root's is itself. */
  fail: State
  readonly depth: number
  /** The longest stop string that ends here. */
  stop: string | undefined
}

function addStop(root: State, stop: string): void {
  let state = root
  for (let at = 0; at < stop.length; at++) {
    const unit = stop.charCodeAt(at)
    let child = state.next.get(unit)
    if (child === undefined) {
      child = { next: new Map(), fail: root, depth: at + 1, stop: undefined }
      state.next.set(unit, child)
    }
    state = child
  }
  state.stop = stop
}

function step(root: State, from: State, unit: number): State {
  let state = from
  for (;;) {
    const next = state.next.get(unit)
    if (next !== undefined) return next
    if (state === root) return root
    state = state.fail
  }
}

function buildAutomaton(stops: readonly string[]): State {
  const root: State = { next: new Map(), fail: undefined as never, depth: 0, stop: undefined }
  root.fail = root
  for (const stop of stops) addStop(root, stop)
  const queue = [...root.next.values()]
  for (let head = 0; head < queue.length; head++) {
    const state = queue[head] as State
    for (const [unit, child] of state.next) {
      child.fail = step(root, state.fail, unit)
      child.stop ??= child.fail.stop
      queue.push(child)
    }
  }
  return root
}

/**
 * Watches one sequence's text for stop strings. The first position at which any stop string is complete ends the text; of several that end
 * there the longest counts, so that the output holds no part of any of them. (vLLM takes the first in the caller's order among those
 * found in one step, which depends on how tokens fall into steps; ours does not.) The stop string itself is not emitted, as with OpenAI.
 */
export class StopMatcher {
  readonly #root: State
  #state: State
  #held = ''
  #stopped: string | null = null

  /** Throws InvalidArgument on `stop` for more than 16 strings or an empty one. */
  constructor(stops: readonly string[]) {
    if (stops.length > MAX_STOP_STRINGS) throw new InvalidArgument('stop', `at most ${MAX_STOP_STRINGS} stop strings; got ${stops.length}`)
    if (stops.includes('')) throw new InvalidArgument('stop', 'a stop string must not be empty')
    this.#root = buildAutomaton(stops)
    this.#state = this.#root
  }

  /** Takes the next delta. After a stop, further text is dropped. O(length of the delta). */
  push(delta: string): StopResult {
    if (this.#stopped !== null) return { emit: '', stopped: this.#stopped }
    if (this.#root.next.size === 0) return { emit: delta, stopped: null }
    let state = this.#state
    for (let at = 0; at < delta.length; at++) {
      state = step(this.#root, state, delta.charCodeAt(at))
      if (state.stop !== undefined) return this.#stop(state.stop, delta.slice(0, at + 1))
    }
    const text = this.#held + delta
    const cut = text.length - state.depth
    this.#state = state
    this.#held = text.slice(cut)
    return { emit: text.slice(0, cut), stopped: null }
  }

  /** The text held back, when the sequence ends without a stop string; empty after one. */
  flush(): string {
    const held = this.#held
    this.#held = ''
    this.#state = this.#root
    return held
  }

  #stop(stop: string, consumed: string): StopResult {
    const text = this.#held + consumed
    this.#held = ''
    this.#stopped = stop
    return { emit: text.slice(0, text.length - stop.length), stopped: stop }
  }
}
