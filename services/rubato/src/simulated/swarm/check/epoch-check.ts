// Fencing, seen from outside: per request one instance speaks under an epoch, and routers deliver nothing that an older one said.
import type { Address } from '@rubato/actor'
import { compareEpochs } from '@rubato/instance'
import type { Epoch, TokenRun } from '@rubato/instance'
import type { DeliverEffect } from '@rubato/service-router'
import { isSend, messageOf } from './transition.ts'
import type { Transition } from './transition.ts'
import type { Coverage } from '../coverage/coverage.ts'
import type { Verdict } from './violation.ts'

const FIRST: Epoch = { recovery: 0, hop: 0 }

export class EpochCheck {
  readonly #verdict: Verdict
  readonly #coverage: Coverage
  /** By router and request: the highest epoch that it has named or heard. */
  readonly #highest = new Map<string, Epoch>()
  /** By router, request and epoch: who speaks. */
  readonly #speakers = new Map<string, Address>()
  readonly #requestOf = new Map<number, string>()

  constructor(verdict: Verdict, coverage: Coverage) {
    this.#verdict = verdict
    this.#coverage = coverage
  }

  /** Of an instance. */
  instance({ address, effects }: Transition): void {
    for (const effect of effects) {
      if (!isSend(effect) || effect.payload.kind !== 'tokens') continue
      for (const { requestId, epoch, tokenIds } of effect.payload.runs) {
        if (tokenIds.length === 0) continue
        const key = `${effect.to} ${requestId} ${epoch.recovery}.${epoch.hop}`
        const speaker = this.#speakers.get(key) ?? address
        this.#speakers.set(key, address)
        if (speaker !== address) this.#verdict.fail('fencing', `${requestId}: ${speaker} and ${address} both speak under epoch ${epoch.recovery}.${epoch.hop}`, [requestId])
      }
    }
  }

  router(transition: Transition): void {
    const { address, effects } = transition
    const message = messageOf(transition)
    if (message?.kind === 'submit') {
      const { requestId } = message.request
      this.#requestOf.set(message.clientId, requestId)
      this.#highest.delete(`${address} ${requestId}`)
    }
    if (message?.kind === 'tokens') this.#deliveries(message.runs, transition)
    for (const effect of effects) {
      if (isSend(effect) && (effect.payload.kind === 'generate' || effect.payload.kind === 'attach')) this.#raise(address, effect.payload.requestId, effect.payload.epoch)
    }
  }

  #deliveries(runs: readonly TokenRun[], { address, effects }: Transition): void {
    const current = new Set<string>()
    const stale = new Set<string>()
    for (const { requestId, epoch } of runs) {
      const highest = this.#highest.get(`${address} ${requestId}`) ?? FIRST
      if (compareEpochs(epoch, highest) < 0) stale.add(requestId)
      else {
        current.add(requestId)
        this.#raise(address, requestId, epoch)
      }
    }
    if (stale.size === 0) return
    this.#coverage.superseded()
    for (const effect of effects) if (effect.kind === 'deliver') this.#delivered(effect as DeliverEffect, { stale, current })
  }

  #delivered({ events }: DeliverEffect, { stale, current }: { readonly stale: ReadonlySet<string>; readonly current: ReadonlySet<string> }): void {
    for (const { clientId, event } of events) {
      const requestId = this.#requestOf.get(clientId)
      if (event.kind !== 'delta' || event.tokenIds.length === 0 || requestId === undefined || !stale.has(requestId) || current.has(requestId)) continue
      this.#verdict.fail('fencing', `${requestId}: tokens of an instance were delivered after it had been superseded`, [requestId])
    }
  }

  #raise(address: Address, requestId: string, epoch: Epoch): void {
    const key = `${address} ${requestId}`
    const highest = this.#highest.get(key) ?? FIRST
    if (compareEpochs(epoch, highest) > 0) this.#highest.set(key, epoch)
  }
}
