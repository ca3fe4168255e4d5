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

  add({ request, index }: Sequence, run: LoggedRun): void {
    const { requestId, epoch } = request.message
    let runs = this.#runs.get(request.replyTo)
    if (runs === undefined) {
      runs = []
      this.#runs.set(request.replyTo, runs)
    }
    runs.push({ requestId, epoch, sequence: index, firstIndex: run.firstIndex, tokenIds: run.tokenIds, logprobs: run.logprobs, ...(run.start === undefined ? {} : { start: run.start }), finish: run.finish })
  }

  flush(effects: EffectList): void {
    if (this.#runs.size === 0) return
    for (const [to, runs] of this.#runs) effects.send(to, { kind: 'tokens', instanceId: this.#instanceId, incarnation: this.#incarnation, runs })
    this.#runs = new Map()
  }
}
