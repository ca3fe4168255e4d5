// New tokens on their way out: one message per router and step, however many sequences it carries.
import type { Address } from '@rubato/actor'
import type { EffectList } from '../effects.ts'
import type { TokenRun } from '../messages.ts'
import type { Sequence } from '../request/request.ts'
import type { LoggedRun } from '../request/token-log.ts'

export class Outbox {
  readonly #instanceId: string
  readonly #incarnation: number
  #runs = new Map<Address, TokenRun[]>()

  constructor(from: { readonly instanceId: string; readonly incarnation: number }) {
    this.#instanceId = from.instanceId
    this.#incarnation = from.incarnation
  }

  /** Tokens of a request without a router stay in its log alone. */
  add({ request, index }: Sequence, run: LoggedRun): void {
    if (request.isOrphan) return
    const { requestId, epoch } = request.message
    let runs = this.#runs.get(request.replyTo)
    if (runs === undefined) {
      runs = []
      this.#runs.set(request.replyTo, runs)
    }
    const { firstIndex, tokenIds, logprobs, start, finish } = run
    if (start === undefined) runs.push({ requestId, epoch, sequence: index, firstIndex, tokenIds, logprobs, finish })
    else runs.push({ requestId, epoch, sequence: index, firstIndex, tokenIds, logprobs, start, finish })
  }

  flush(effects: EffectList): void {
    if (this.#runs.size === 0) return
    for (const [to, runs] of this.#runs) effects.send(to, { kind: 'tokens', instanceId: this.#instanceId, incarnation: this.#incarnation, runs })
    this.#runs = new Map()
  }
}
