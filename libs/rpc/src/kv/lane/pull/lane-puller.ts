// Pulls over lanes: a link per sender, closed after a time without pulls.
import type { LinkReport } from '@rubato/policy'
import { RubatoError } from '@rubato/config'
import type { KvPullRequest } from '../../kv-transport.ts'
import { NoLanes } from './connect-lane.ts'
import { linkFailed } from './incoming-transfer.ts'
import type { LaneKind } from './lane-set.ts'
import { PeerLink } from './peer-link.ts'
import type { PeerLinkOptions } from './peer-link.ts'

export type LanePullerOptions = Omit<PeerLinkOptions, 'kvAddress' | 'onFailed'>

export interface LaneLink {
  readonly kind: LaneKind
  readonly numFramesAgain: number
  readonly report: LinkReport
}

const IDLE_CLOSE_MS = 60_000

interface OpenLink {
  readonly link: PeerLink
  idleTimer: NodeJS.Timeout | undefined
}

export class LanePuller {
  readonly #options: LanePullerOptions
  readonly #links = new Map<string, OpenLink>()

  constructor(options: LanePullerOptions) {
    this.#options = options
  }

  /** Rejects with NoLanes when the sender speaks none, else as KvTransport.pull does. */
  async pull(request: KvPullRequest, signal: AbortSignal): Promise<Uint8Array> {
    const { kvAddress } = request
    const open = this.#links.get(kvAddress) ?? this.#open(kvAddress)
    clearTimeout(open.idleTimer)
    try {
      return await open.link.pull(request, signal)
    } catch (error) {
      if (error instanceof RubatoError) throw error
      this.#close(kvAddress, open)
      throw error instanceof NoLanes ? error : linkFailed(kvAddress, error instanceof Error ? error.message : String(error), error)
    } finally {
      if (open.link.isIdle) this.#closeWhenIdle(kvAddress, open)
    }
  }

  /** null: no link is open. */
  linkTo(kvAddress: string): LaneLink | null {
    const link = this.#links.get(kvAddress)?.link
    return link === undefined || link.kind === null ? null : { kind: link.kind, numFramesAgain: link.numAskedAgain, report: link.report }
  }

  close(): void {
    for (const [kvAddress, open] of this.#links) this.#close(kvAddress, open)
  }

  #open(kvAddress: string): OpenLink {
    const onFailed = (): void => this.#forget(kvAddress, open)
    const open: OpenLink = { link: new PeerLink({ ...this.#options, kvAddress, onFailed }), idleTimer: undefined }
    this.#links.set(kvAddress, open)
    return open
  }

  #closeWhenIdle(kvAddress: string, open: OpenLink): void {
    clearTimeout(open.idleTimer)
    if (this.#links.get(kvAddress) !== open) return
    open.idleTimer = setTimeout(() => this.#close(kvAddress, open), IDLE_CLOSE_MS)
    open.idleTimer.unref()
  }

  #close(kvAddress: string, open: OpenLink): void {
    this.#forget(kvAddress, open)
    open.link.fail(linkFailed(kvAddress, 'the link was closed'))
  }

  #forget(kvAddress: string, open: OpenLink): void {
    clearTimeout(open.idleTimer)
    if (this.#links.get(kvAddress) === open) this.#links.delete(kvAddress)
  }
}
