// KV transfers of this process, counted for its metrics.
import type { KvTransferEvent } from '@rubato/rpc'
import type { KvTransferCounts } from '@rubato/telemetry'
import type { ProcessLog } from './process-log.ts'

type Counts = { -readonly [Name in keyof KvTransferCounts]: KvTransferCounts[Name] }

export class KvCounts {
  readonly pulled: Counts = { numDone: 0, numFailed: 0, bytes: 0 }
  readonly served: Counts = { numDone: 0, numFailed: 0, bytes: 0 }
  readonly #log: ProcessLog

  constructor(log: ProcessLog) {
    this.#log = log
  }

  take(event: KvTransferEvent): void {
    const counts = event.kind === 'pulled' || event.kind === 'pull-failed' ? this.pulled : this.served
    if (event.kind === 'pulled' || event.kind === 'sent') {
      counts.numDone++
      counts.bytes += event.numBytes
      return
    }
    counts.numFailed++
    this.#log.warn({ ...event }, 'a KV transfer failed')
  }
}
