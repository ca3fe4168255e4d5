// The bus of a single process: one queue, drained once per turn.
//
// 1. A drain delivers what was queued when it began; what is sent meanwhile waits for the next, so that a chatty pair of
//    actors cannot starve the event loop.
// 2. A message is bound to the registration that was there when it was sent: the next incarnation never sees it.
import type { Address } from '@rubato/actor'
import type { Bus, Receiver, Registration, SendOutcome } from './bus.ts'
import { ReceiverTable } from './receiver-table.ts'
import type { ReceiverBox } from './receiver-table.ts'

export interface InProcessBusOptions {
  /** Runs the callback soon, after the current turn (setImmediate in a live process). */
  readonly defer: (drain: () => void) => void
  /** For tests: a change of a payload after send() throws. Default false. */
  readonly freezePayloads?: boolean
}

interface Letter {
  readonly box: ReceiverBox
  readonly from: Address
  readonly payload: unknown
}

export class InProcessBus implements Bus {
  readonly #receivers: ReceiverTable
  readonly #defer: InProcessBusOptions['defer']
  #letters: Letter[] = []
  #isDrainDue = false

  constructor({ defer, freezePayloads = false }: InProcessBusOptions) {
    this.#receivers = new ReceiverTable({ freezePayloads })
    this.#defer = defer
  }

  register(address: Address, receiver: Receiver): Registration {
    return this.#receivers.register(address, receiver)
  }

  send(from: Address, to: Address, payload: unknown): SendOutcome {
    const box = this.#receivers.accept(to, payload)
    if (box === undefined) return 'no-receiver'
    this.#letters.push({ box, from, payload })
    this.#requestDrain()
    return 'sent'
  }

  #requestDrain(): void {
    if (this.#isDrainDue) return
    this.#isDrainDue = true
    this.#defer(() => this.#drain())
  }

  #drain(): void {
    this.#isDrainDue = false
    const letters = this.#letters
    this.#letters = []
    let numDelivered = 0
    try {
      for (const { box, from, payload } of letters) {
        numDelivered += 1
        box.receiver?.(from, payload)
      }
    } finally {
      // A receiver threw, which is its bug; the others still get their messages.
      if (numDelivered < letters.length) {
        this.#letters = [...letters.slice(numDelivered), ...this.#letters]
        this.#requestDrain()
      }
    }
  }
}
