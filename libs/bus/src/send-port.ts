// The `send` effect over a bus.
import type { Address, EffectPort, SendEffect } from '@rubato/actor'
import { DONE } from '@rubato/actor'
import type { Bus } from './bus.ts'

/** Sends as `from`; fails with `no_receiver` (retryable) when nobody has the address. */
export function sendPort(bus: Bus, from: Address, limit: number): EffectPort<SendEffect> {
  return {
    limit,
    perform({ to, payload }, run) {
      if (bus.send(from, to, payload) === 'sent') run.complete(DONE)
      else run.complete({ kind: 'failed', error: { code: 'no_receiver', message: `nobody receives at ${to}`, retryable: true } })
    },
  }
}
