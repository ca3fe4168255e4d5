// Makes things go wrong when the scenario says so.
import type { SimWorld } from '@rubato/sim'
import type { SimCluster } from '../../cluster/index.ts'
import type { FaultSpec } from '../../scenario/scenario.ts'

const NO_LINK_FAULTS = { lossRatio: 0, reorderRatio: 0, kvCutRatio: 0, latencyFactor: 1, bandwidthFactor: 1 }

/** Times count from now. */
export function scheduleFaults(faults: readonly FaultSpec[], world: SimWorld, cluster: SimCluster): void {
  for (const fault of faults) world.schedule(fault.atMs, () => strike(fault, world, cluster))
}

function strike(fault: FaultSpec, world: SimWorld, cluster: SimCluster): void {
  switch (fault.kind) {
    case 'kill':
      cluster.kill(fault.name, { restartMs: fault.restartMs })
      return
    case 'freeze':
      cluster.freeze(fault.name, fault.forMs)
      return
    case 'partition':
      cluster.partition(fault.names, fault.forMs)
      return
    case 'link':
      cluster.setLinkFaults(fault.faults)
      world.schedule(fault.forMs, () => cluster.setLinkFaults(NO_LINK_FAULTS))
      return
    case 'broker':
      cluster.restartBroker(fault.downMs)
      return
    case 'drain':
      cluster.drain(fault.name)
      return
    case 'set-role':
      cluster.setRole(fault.name, fault.role)
      return
  }
}
