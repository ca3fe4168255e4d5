// KV transfers over the network. One port for what is pulled from here, over lanes or gRPC, told apart by their first bytes; pulls
// go over lanes where the sender speaks them, else over gRPC.
//
// 1. close() ends every transfer and settles every offer and pull before it resolves.
// 2. A token is never shown to a sender twice: a pull falls back to gRPC only before it named its token.
import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import { InvalidArgument, RubatoError } from '@rubato/config'
import type { KvEncoding } from '@rubato/policy'
import { startGrpcServer } from '../grpc-server.ts'
import type { GrpcServerHandle } from '../grpc-server.ts'
import { BufferPool } from './buffer-pool.ts'
import { GrpcPuller, MAX_FRAME_PAYLOAD_BYTES } from './grpc/grpc-puller.ts'
import { KV_SERVICE_NAME, PULL_METHOD } from './grpc/kv-service.ts'
import { pullHandler } from './grpc/send-blocks.ts'
import type { OnKvTransfer } from './kv-events.ts'
import type { KvTls } from './kv-tls.ts'
import type { KvLinkState, KvOffer, KvPullRequest, KvPullResult, KvTransport, LinkKind } from './kv-transport.ts'
import { LANE_PREAMBLE } from './lane/lane-message.ts'
import { NoLanes } from './lane/pull/connect-lane.ts'
import { linkFailed } from './lane/pull/incoming-transfer.ts'
import { LanePuller } from './lane/pull/lane-puller.ts'
import { LaneServer } from './lane/serve/lane-server.ts'
import { ServedTransfers } from './lane/serve/served-transfers.ts'
import { LinkBook } from './link-book.ts'
import { OFFER_TTL_MS, OfferBook, transferBytes } from './offer-book.ts'

export interface KvTransportOptions {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** Host that peers reach this one at, without the port; null: `host`. */
  readonly advertiseAddress: string | null
  /** Port that peers reach it at where something forwards; null: the one it listens on. @default null */
  readonly advertisePort?: number | null
  /** null: plain text, for loopback and trusted networks. */
  readonly tls: KvTls | null
  /** What it speaks beside gRPC, to peers that do: lanes over TCP, and over sockets of this machine. @default both */
  readonly lanes?: readonly ('tcp' | 'unix')[]
  /** Encodings that pulls may ask for beside raw. @default lossless */
  readonly encodings?: readonly KvEncoding[]
  /** An offer that nobody pulled is withdrawn after this. @default 30000 */
  readonly offerTtlMs?: number
  /** A link that moves no frame for this long has failed. @default 5000 */
  readonly idleTimeoutMs?: number
  /** Payload of a gRPC frame, 256 KiB to 1 MiB except in tests. @default 524288 */
  readonly framePayloadBytes?: number
  readonly onTransfer?: OnKvTransfer
}

const IDLE_TIMEOUT_MS = 5_000
const FRAME_PAYLOAD_BYTES = 512 * 1024
const MAX_REQUEST_BYTES = 64 * 1024
/** A sender without lanes is asked for them again after this: it may have been upgraded. */
const NO_LANES_MS = 60_000
/** Ended calls need no more than their trailers to be gone. */
const CLOSE_DEADLINE_MS = 250
const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::', ''])

function advertised({ host, advertiseAddress, advertisePort = null }: KvTransportOptions, port: number): string {
  const name = advertiseAddress ?? host
  if (WILDCARDS.has(name)) throw new InvalidArgument('--advertise-address', `peers cannot connect to '${name}': give the host name or address that they reach this one at`)
  return `${name.includes(':') ? `[${name}]` : name}:${advertisePort ?? port}`
}

interface Parts {
  readonly server: GrpcServerHandle
  readonly laneServer: LaneServer | null
  readonly book: OfferBook
}

class NetworkKvTransport implements KvTransport {
  readonly kvAddress: string
  readonly #parts: Parts
  readonly #pool = new BufferPool()
  readonly #grpc: GrpcPuller
  readonly #lanes: LanePuller | null
  /** Senders without lanes, and until when they are taken for such. */
  readonly #withoutLanes = new Map<string, number>()
  readonly #book = new LinkBook()
  readonly #onTransfer: OnKvTransfer
  readonly #stop = new AbortController()
  readonly #pulls = new Set<Promise<unknown>>()

  constructor(parts: Parts, options: KvTransportOptions) {
    const { tls, idleTimeoutMs = IDLE_TIMEOUT_MS, lanes = ['tcp', 'unix'], encodings = ['lossless'], onTransfer = () => {} } = options
    this.kvAddress = advertised(options, parts.server.port)
    this.#parts = parts
    this.#onTransfer = onTransfer
    const shared = { tls, idleTimeoutMs, pool: this.#pool }
    this.#grpc = new GrpcPuller(shared)
    this.#lanes = lanes.length === 0 ? null : new LanePuller({ ...shared, isLocalAllowed: lanes.includes('unix'), encodings })
  }

  offer(offer: KvOffer, signal: AbortSignal): Promise<void> {
    return this.#parts.book.enter(offer, signal)
  }

  async pull(request: KvPullRequest, signal: AbortSignal): Promise<KvPullResult> {
    const pulling = this.#pull(request, AbortSignal.any([signal, this.#stop.signal]))
    this.#pulls.add(pulling)
    try {
      return await pulling
    } finally {
      this.#pulls.delete(pulling)
    }
  }

  recycle(bytes: Uint8Array): void {
    this.#pool.giveBack(bytes)
  }

  links(): readonly KvLinkState[] {
    return this.#book.counts.map((counts) => {
      const { numFramesAgain = 0, report = null } = this.#lanes?.linkTo(counts.kvAddress) ?? {}
      return { ...counts, numFramesAgain, report }
    })
  }

  async close(): Promise<void> {
    const { server, laneServer, book } = this.#parts
    this.#stop.abort()
    book.close()
    this.#lanes?.close()
    await Promise.allSettled(this.#pulls)
    this.#grpc.close()
    await Promise.all([server.close(CLOSE_DEADLINE_MS), laneServer?.close()])
  }

  async #pull(request: KvPullRequest, signal: AbortSignal): Promise<KvPullResult> {
    const { kvAddress, requestId, trace = null } = request
    const numBytes = transferBytes(request)
    if (signal.aborted) throw linkFailed(kvAddress, 'the pull was given up before it began')
    const startedMs = performance.now()
    try {
      const { bytes, over } = await this.#fetch(request, signal)
      const transferMs = performance.now() - startedMs
      this.#onTransfer({ kind: 'pulled', requestId, trace, peer: kvAddress, over, numBytes, transferMs })
      return { bytes, transferMs, bytesPerSec: this.#book.pulled(kvAddress, over, { numBytes, transferMs }) }
    } catch (error) {
      this.#book.failed(kvAddress, this.#lanes?.linkTo(kvAddress)?.kind ?? 'grpc')
      if (error instanceof RubatoError) this.#onTransfer({ kind: 'pull-failed', requestId, trace, peer: kvAddress, code: error.code, message: error.message })
      throw error
    }
  }

  async #fetch(request: KvPullRequest, signal: AbortSignal): Promise<{ readonly bytes: Uint8Array; readonly over: LinkKind }> {
    const { kvAddress } = request
    const lanes = this.#mayHaveLanes(kvAddress) ? this.#lanes : null
    try {
      if (lanes !== null) return { bytes: await lanes.pull(request, signal), over: lanes.linkTo(kvAddress)?.kind ?? 'tcp' }
    } catch (error) {
      if (!(error instanceof NoLanes)) throw error
      this.#withoutLanes.set(kvAddress, performance.now() + NO_LANES_MS)
    }
    if (signal.aborted) throw linkFailed(kvAddress, 'the pull was given up')
    return { bytes: await this.#grpc.pull(request, signal), over: 'grpc' }
  }

  #mayHaveLanes(kvAddress: string): boolean {
    const untilMs = this.#withoutLanes.get(kvAddress)
    if (untilMs === undefined) return true
    if (performance.now() < untilMs) return false
    this.#withoutLanes.delete(kvAddress)
    return true
  }
}

/**
 * Starts serving pulls. Throws RubatoError `address_in_use` (naming --kv-port) or `bind_failed`, and InvalidArgument when
 * peers would be told a wildcard address.
 */
export async function createKvTransport(options: KvTransportOptions): Promise<KvTransport> {
  const { host, port, tls, lanes = ['tcp', 'unix'], offerTtlMs = OFFER_TTL_MS, idleTimeoutMs = IDLE_TIMEOUT_MS, framePayloadBytes = FRAME_PAYLOAD_BYTES, onTransfer = () => {} } = options
  if (!(framePayloadBytes >= 1 && framePayloadBytes <= MAX_FRAME_PAYLOAD_BYTES)) throw new InvalidArgument('framePayloadBytes', `${framePayloadBytes} is not within 1..${MAX_FRAME_PAYLOAD_BYTES}`)
  advertised(options, port)
  const book = new OfferBook(offerTtlMs)
  const shared = { stallTimeoutMs: idleTimeoutMs, onTransfer }
  const laneServer = lanes.length === 0 ? null : await LaneServer.start({ transfers: new ServedTransfers(book, shared), tls, isLocalAllowed: lanes.includes('unix') })
  const handlers = { Pull: pullHandler({ book, framePayloadBytes, ...shared }) } as unknown as UntypedServiceImplementation
  try {
    const server = await startGrpcServer({
      host,
      port,
      portFlag: '--kv-port',
      tls: tls === null ? null : { cert: tls.cert, key: tls.key, clientCa: tls.ca },
      services: [{ name: KV_SERVICE_NAME, definition: { Pull: PULL_METHOD }, handlers }],
      ready: () => true,
      maxReceiveBytes: MAX_REQUEST_BYTES,
      ...(laneServer === null ? {} : { divert: { preamble: LANE_PREAMBLE, take: (socket) => laneServer.accept(socket) } }),
    })
    return new NetworkKvTransport({ server, laneServer, book }, options)
  } catch (error) {
    await laneServer?.close()
    throw error
  }
}
