// What migration policies see: aggregates of instances, never a request (Llumnix OSDI'24 §4.1).

export interface MigrationInstance {
  readonly instanceId: string
  /** Requests move only between instances of one model. */
  readonly modelFingerprint: string
  readonly role: 'prefill' | 'decode' | 'mixed'
  readonly isDraining: boolean
  /** It can ship KV. */
  readonly canShip: boolean
  /** (M - sum V) / B as the instance reports it; negative when its head of the line cannot be admitted. */
  readonly freenessBlocks: number
  readonly numRunning: number
  readonly numWaiting: number
  /** Blocks that hold KV of running requests. */
  readonly contextBlocks: number
  /** Since it last preempted a request; null: not in living memory. */
  readonly preemptedAgoMs: number | null
}

export interface MigrationPair {
  readonly sourceId: string
  readonly destinationId: string
  readonly reason: MigrationReason
}

/** `drain`: it shall be empty. `admit`: its head of the line does not fit. `balance`: it runs out of memory before others do. */
export type MigrationReason = 'drain' | 'admit' | 'balance'
