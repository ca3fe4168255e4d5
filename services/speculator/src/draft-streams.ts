// Streams of the Draft service as correspondents of the actor: each is an address on the bus of this process.
import type { Bus } from '@rubato/bus'
import type { DraftReplyMessage } from '@rubato/model'
import type { OpenDraftSession } from '@rubato/rpc'
import type { SpeculatorHost } from './speculator-host.ts'

export function draftStreams(bus: Bus, host: Pick<SpeculatorHost, 'deliver'>): OpenDraftSession {
  let numStreams = 0
  return (link) => {
    const address = `stream/${++numStreams}`
    const registration = bus.register(address, (_, reply) => link.reply(reply as DraftReplyMessage))
    return {
      receive: (message) => host.deliver(address, message),
      ended: () => {
        host.deliver(address, { kind: 'draft-bye' })
        registration.close()
      },
    }
  }
}
