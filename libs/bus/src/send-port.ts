// The `send` effect over a bus.
import type { Address, EffectPort, SendEffect } from '@rubato/actor'
import { DONE } from '@rubato/actor'
import type { Bus } from './bus.ts'

/** Sends as `from`; fails with `no_receiver` (retryable) when nobody has the address, `message_too_large` when it cannot be carried. */
export function sendPort(bus: Bus, from: Address, limit: number): EffectPort<SendEffect> {
  return {
    limit,
    perform({ to, payload }, run) {
      switch (bus.send(from, to, payload)) {
        case 'sent':
          return run.complete(DONE)
        case 'no-receiver':
          return run.complete({ kind: 'failed', error: { code: 'no_receiver', message: `nobody receives at ${to}`, retryable: true } })
        case 'too-large':
          return run.complete({ kind: 'failed', error: { code: 'message_too_large', message: `the bus cannot carry a message to ${to} of this size: raise max_payload of the NATS server`, retryable: false } })
      }
    },
  }
}
