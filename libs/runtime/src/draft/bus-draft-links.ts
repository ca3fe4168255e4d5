// Speculators on the same bus: what gRPC carries between processes goes as messages from one address to another. One address is one
// instance's; a session with a speculator begins with the first ask, and again where the speculator says that it knows none.
import type { Address } from '@rubato/actor'
import type { Bus } from '@rubato/bus'
import { RubatoError } from '@rubato/config'
import type { DraftAnswer, DraftPeer, DraftReplyMessage, DraftRequestMessage } from '@rubato/model'
import type { DraftLinks } from '@rubato/rpc'

export interface BusDraftLinksOptions {
  readonly bus: Bus
  /** Where answers come to; nobody else's. */
  readonly address: Address
  readonly peer: DraftPeer
}

type Settle = (result: DraftAnswer | RubatoError) => void

export function busDraftLinks({ bus, address, peer }: BusDraftLinksOptions): DraftLinks {
  /** By speculator, what it was asked; it was greeted. */
  const sessions = new Map<Address, Map<number, Settle>>()
  const send = (speculator: Address, message: DraftRequestMessage): boolean => bus.send(address, speculator, message) === 'sent'
  const end = (speculator: Address, failure: RubatoError): void => {
    const asks = [...(sessions.get(speculator)?.values() ?? [])]
    sessions.delete(speculator)
    for (const settle of asks) settle(failure)
  }
  const registration = bus.register(address, (from, payload) => {
    const reply = payload as DraftReplyMessage
    if (reply.kind === 'draft-refused' && reply.askId === null) return end(from, refusalOf(from, reply))
    const askId = reply.kind === 'draft-answer' ? reply.answer.askId : reply.askId!
    const asks = sessions.get(from)
    const settle = asks?.get(askId)
    asks?.delete(askId)
    settle?.(reply.kind === 'draft-answer' ? reply.answer : refusalOf(from, reply))
  })
  return {
    ask: (speculator, ask, settle) => {
      let asks = sessions.get(speculator)
      if (asks === undefined) {
        asks = new Map()
        sessions.set(speculator, asks)
        send(speculator, { kind: 'draft-hello', peer })
      }
      asks.set(ask.askId, settle)
      if (!send(speculator, { kind: 'draft-ask', ask })) end(speculator, new RubatoError('draft_link_failed', `nobody is at ${speculator}`, { retryable: true }))
      return () => void sessions.get(speculator)?.delete(ask.askId)
    },
    tell: (speculator, news) => {
      if (sessions.has(speculator)) send(speculator, { kind: 'draft-news', news })
    },
    close: () => {
      for (const speculator of sessions.keys()) {
        send(speculator, { kind: 'draft-bye' })
        end(speculator, new RubatoError('draft_link_failed', 'the links are closed', { retryable: true }))
      }
      registration.close()
    },
  }
}

function refusalOf(speculator: Address, { reason, askId, message }: Extract<DraftReplyMessage, { kind: 'draft-refused' }>): RubatoError {
  if (reason === 'other_vocabulary') return new RubatoError('draft_refused', `${speculator} refused: ${message}`)
  return new RubatoError(askId === null ? 'draft_link_failed' : 'draft_busy', `${speculator} refused: ${message}`, { retryable: true })
}
