// The router as the admin door sees it.
import type { Address } from '@rubato/actor'
import type { DrainMessage, MigrateMessage, SetRoleMessage } from '@rubato/instance'
import type { InstanceView } from '../actor/state/instances.ts'

export interface ClusterPort {
  instances(): readonly InstanceView[]
  /** Sends as the router; no answer is awaited, the instance's next load report shows the effect. */
  tell(address: Address, message: DrainMessage | MigrateMessage | SetRoleMessage): void
  /** Id of the instance that serves this request of this router; null: it has none, or none serves it now. */
  ownerOf(requestId: string): string | null
  /** Times that a request was taken elsewhere because its instance was lost. Never falls. */
  recoveriesTotal(): number
  /** The clock of the views' lastHeardMs. */
  nowMs(): number
}
