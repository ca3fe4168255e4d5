// A hand that moves requests between the two instances of a cluster and asks them how long that took.
import type { Actor, Incoming } from '@rubato/actor'
import type { LoadMessage } from '@rubato/instance'
import type { EmbeddedCluster } from '../../embedded/cluster.ts'
import type { Hand } from './measure-downtime.ts'

/** Hands every load report to whoever waits for it. */
class Ear implements Actor<LoadMessage, never> {
  onLoad: (load: LoadMessage) => void = () => {}

  start(): readonly never[] {
    return []
  }

  receive(incoming: Incoming<LoadMessage>): readonly never[] {
    if (incoming.kind === 'message' && incoming.payload.kind === 'load') this.onLoad(incoming.payload)
    return []
  }
}

export function handOf(cluster: EmbeddedCluster): Hand {
  const ear = new Ear()
  const host = cluster.shell.spawn({ address: 'migrator/bench', factory: () => ({ actor: ear, effects: {} }) })
  return {
    move: (requestId, maxStages) => {
      const owner = cluster.routerActor.ownerOf(requestId)
      const instances = cluster.routerActor.instances()
      const from = instances.find(({ instanceId }) => instanceId === owner)
      const to = instances.find(({ instanceId }) => instanceId !== owner)
      if (from !== undefined && to !== undefined) host.send(from.address, { kind: 'migrate', requestId, to: { instanceId: to.instanceId, address: to.address }, forMs: 0, maxStages })
    },
    standstillMs: async () => {
      const addresses = cluster.routerActor.instances().map(({ address }) => address)
      const heard = new Map<string, number>()
      const { promise, resolve } = Promise.withResolvers<void>()
      ear.onLoad = ({ address, migrations }) => {
        heard.set(address, migrations.downtimeMsTotal)
        if (heard.size === addresses.length) resolve()
      }
      for (const address of addresses) host.send(address, { kind: 'hello' })
      await promise
      return [...heard.values()].reduce((sum, downtimeMs) => sum + downtimeMs, 0)
    },
  }
}
