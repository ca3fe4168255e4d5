// The cluster schedulers of splitwise-sim: who computes a request's prompt, who its tokens.
//
// token-jsq: both on the machine with the fewest pending tokens.
// mixed-pool: a prompt machine and a token machine, told at once when the request arrives. Machines that are not enough of
// one kind are borrowed from the other pool and do both, until they run out of work:
//
//   home pool --the other pool is full--> mixed pool --idle--> home pool, as its last machine
//
// Output lengths are known beforehand: both reserve memory for them.
import type { ReferenceRequest } from '../trace.ts'
import { outputKvBytes, promptKvBytes } from './job.ts'
import type { Machine } from './machine.ts'
import { MAX_PENDING_PROMPT_TOKENS } from './published.ts'

export interface Assignment {
  readonly prompt: Machine
  readonly token: Machine
}

export interface Scheduler {
  /** Chooses, and books the request on its machines. */
  assign(request: ReferenceRequest): Assignment
  /** The machine has no work left. */
  idle(machine: Machine): void
}

const byPendingTokens = ({ pendingTokens }: Machine): number => pendingTokens
const byReservedBytes = ({ reservedBytes }: Machine): number => reservedBytes

/** The first of the least; undefined for none. */
function least(machines: readonly Machine[], key: (machine: Machine) => number): Machine | undefined {
  let best = machines[0]
  for (const machine of machines) if (key(machine) < key(best!)) best = machine
  return best
}

export function tokenJsqScheduler(machines: readonly Machine[]): Scheduler {
  return {
    assign({ promptTokens }) {
      const machine = least(machines, byPendingTokens)!
      machine.pendingTokens += promptTokens + 1
      return { prompt: machine, token: machine }
    },
    idle() {},
  }
}

class MixedPoolScheduler implements Scheduler {
  readonly #kvBytesPerToken: number
  readonly #prompt: Machine[]
  readonly #token: Machine[]
  readonly #mixed: Machine[] = []
  readonly #isPrompt: ReadonlySet<Machine>

  constructor(prompt: readonly Machine[], token: readonly Machine[], kvBytesPerToken: number) {
    this.#prompt = [...prompt]
    this.#token = [...token]
    this.#isPrompt = new Set(prompt)
    this.#kvBytesPerToken = kvBytesPerToken
  }

  assign(request: ReferenceRequest): Assignment {
    const assignment = this.#choose(request)
    this.#book(request, assignment)
    return assignment
  }

  idle(machine: Machine): void {
    const index = this.#mixed.indexOf(machine)
    if (index < 0) return
    this.#mixed.splice(index, 1)
    ;(this.#isPrompt.has(machine) ? this.#prompt : this.#token).push(machine)
  }

  #choose(request: ReferenceRequest): Assignment {
    const prompt = this.#forPrompt(request, this.#prompt) ?? this.#forPrompt(request, this.#mixed)
    const token = this.#forTokens(request, this.#token) ?? this.#forTokens(request, this.#mixed)
    const promptOrBorrowed = prompt ?? this.#borrow(this.#token, byPendingTokens)
    const tokenOrBorrowed = token ?? this.#borrow(this.#prompt, byReservedBytes)
    if (promptOrBorrowed !== undefined && tokenOrBorrowed !== undefined) return { prompt: promptOrBorrowed, token: tokenOrBorrowed }
    const machine = least([...this.#prompt, ...this.#mixed, ...this.#token], byPendingTokens)!
    return { prompt: machine, token: machine }
  }

  #forPrompt({ promptTokens }: ReferenceRequest, pool: readonly Machine[]): Machine | undefined {
    const machine = least(pool, byPendingTokens)
    const isLong = machine !== undefined && machine.hasQueue && machine.pendingTokens + promptTokens > MAX_PENDING_PROMPT_TOKENS
    return isLong ? undefined : machine
  }

  #forTokens(request: ReferenceRequest, pool: readonly Machine[]): Machine | undefined {
    const machine = least(pool, byReservedBytes)
    const isFull = machine !== undefined && machine.reservedBytes + this.#totalBytes(request) >= machine.memoryBytes
    return isFull ? undefined : machine
  }

  #borrow(pool: Machine[], key: (machine: Machine) => number): Machine | undefined {
    const machine = least(pool, key)
    if (machine === undefined) return undefined
    pool.splice(pool.indexOf(machine), 1)
    this.#mixed.push(machine)
    return machine
  }

  #book(request: ReferenceRequest, { prompt, token }: Assignment): void {
    if (prompt !== token) prompt.reservedBytes += promptKvBytes(request, this.#kvBytesPerToken)
    token.reservedBytes += this.#totalBytes(request)
    prompt.pendingTokens += request.promptTokens
    token.pendingTokens += 1
  }

  #totalBytes(request: ReferenceRequest): number {
    return promptKvBytes(request, this.#kvBytesPerToken) + outputKvBytes(request, this.#kvBytesPerToken)
  }
}

export function mixedPoolScheduler(prompt: readonly Machine[], token: readonly Machine[], kvBytesPerToken: number): Scheduler {
  return new MixedPoolScheduler(prompt, token, kvBytesPerToken)
}
