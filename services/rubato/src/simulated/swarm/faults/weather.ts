// Link faults that overlap: while several last, the worst of each kind holds.
import type { LinkFaults, SimCluster } from '../../cluster/index.ts'

type Partly = Partial<LinkFaults>

const CALM: LinkFaults = { lossRatio: 0, reorderRatio: 0, kvCutRatio: 0, latencyFactor: 1, bandwidthFactor: 1 }

export class Weather {
  readonly #cluster: SimCluster
  readonly #active = new Set<Partly>()
  readonly #corruption = new Set<{ readonly ratio: number }>()

  constructor(cluster: SimCluster) {
    this.#cluster = cluster
  }

  /** Share of KV transfers that arrive damaged. */
  get corruptionRatio(): number {
    return Math.max(0, ...[...this.#corruption].map(({ ratio }) => ratio))
  }

  disturb(faults: Partly, forMs: number): void {
    const own = { ...faults }
    this.#active.add(own)
    this.#apply()
    this.#cluster.world.schedule(forMs, () => {
      this.#active.delete(own)
      this.#apply()
    })
  }

  corrupt(ratio: number, forMs: number): void {
    const own = { ratio }
    this.#corruption.add(own)
    this.#cluster.world.schedule(forMs, () => void this.#corruption.delete(own))
  }

  #apply(): void {
    const active = [...this.#active]
    const worst = (key: keyof LinkFaults, of: typeof Math.max): number => of(CALM[key], ...active.map((faults) => faults[key] ?? CALM[key]))
    this.#cluster.setLinkFaults({
      lossRatio: worst('lossRatio', Math.max), reorderRatio: worst('reorderRatio', Math.max), kvCutRatio: worst('kvCutRatio', Math.max),
      latencyFactor: worst('latencyFactor', Math.max), bandwidthFactor: worst('bandwidthFactor', Math.min),
    })
  }
}
