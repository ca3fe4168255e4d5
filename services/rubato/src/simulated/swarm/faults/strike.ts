// Makes a fault happen now, and end when its time is over.
import type { SimCluster } from '../../cluster/index.ts'
import { LAG } from './fault.ts'
import type { Fault } from './fault.ts'
import type { Weather } from './weather.ts'

export interface Struck {
  readonly cluster: SimCluster
  readonly weather: Weather
  /** How many times longer steps take, by instance. */
  readonly slowness: Map<string, number>
}

export function strike(fault: Fault, { cluster, weather, slowness }: Struck): void {
  const { world } = cluster
  switch (fault.kind) {
    case 'kill':
      cluster.kill(fault.name, { restartMs: fault.restartMs })
      if (fault.lagFactor !== undefined) world.schedule(LAG.fromMs, () => weather.disturb({ latencyFactor: fault.lagFactor! }, LAG.forMs))
      return
    case 'kill-engine':
      return cluster.killEngine(fault.name)
    case 'freeze':
      return cluster.freeze(fault.name, fault.forMs)
    case 'partition':
      return cluster.partition(fault.names, fault.forMs)
    case 'broker':
      return cluster.restartBroker(fault.downMs)
    case 'link':
      return weather.disturb(fault.faults, fault.forMs)
    case 'kv-corruption':
      return weather.corrupt(fault.ratio, fault.forMs)
    case 'slow':
      slowness.set(fault.name, fault.factor)
      world.schedule(fault.forMs, () => void slowness.delete(fault.name))
      return
    case 'drain':
      cluster.drain(fault.name)
      // Who restarted meanwhile knows of no drain: that changes nothing.
      world.schedule(fault.forMs, () => cluster.undrain(fault.name))
      return
    case 'set-role':
      return cluster.setRole(fault.name, fault.role)
    case 'migrate':
      return cluster.migrate(fault.from, fault.to, { forMs: fault.forMs })
  }
}
