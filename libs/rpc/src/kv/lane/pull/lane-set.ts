// The lanes to one sender: the first one greets, and finds out whether the others can go over a socket of this machine.
//
// 1. Lane 0 carries messages. Lanes 1, 2, ... carry frames; a number is used once.
// 2. A lane that is lost or cannot be opened is opened anew by the next ensure(), MAX_LOSSES times in a row; then all have failed.
import type { KvTls } from '../../kv-tls.ts'
import type { LaneListener } from '../lane-reader.ts'
import { decodeLocalDoor } from '../local-door.ts'
import { connectLane, hostAndPort } from './connect-lane.ts'
import type { LaneTarget, OpenLane } from './connect-lane.ts'

export type LaneKind = 'tcp' | 'unix'

export interface LaneSetOptions {
  readonly kvAddress: string
  readonly tls: KvTls | null
  /** Whether the sender's local socket is used where there is one. */
  readonly isLocalAllowed: boolean
  /** A lane that is not welcomed within it cannot be had. */
  readonly idleTimeoutMs: number
}

export interface LaneEvents {
  listenerOf(laneId: number, isSummed: () => boolean): LaneListener
  /** The lane can be used; how long its hello took. */
  opened(laneId: number, roundTripMs: number): void
  lost(laneId: number): void
  /** No lane can be had, or too many were lost. */
  failed(cause: unknown): void
}

const MAX_LOSSES = 3

export class LaneSet {
  readonly #options: LaneSetOptions
  readonly #events: LaneEvents
  readonly #lanes = new Map<number, OpenLane>()
  #target: LaneTarget | null = null
  #numOpening = 0
  #lastLane = 0
  #numLosses = 0
  readonly #stop = new AbortController()

  constructor(options: LaneSetOptions, events: LaneEvents) {
    this.#options = options
    this.#events = events
  }

  /** What lanes go over; null: nothing was opened yet. */
  get kind(): LaneKind | null {
    return this.#target === null ? null : this.#target.kind === 'local' ? 'unix' : 'tcp'
  }

  /** Opens lane 0. Rejects with NoLanes when the sender speaks none, or with what connecting failed with. */
  async greet(): Promise<void> {
    const { kvAddress, tls, isLocalAllowed } = this.#options
    const network: LaneTarget = { kind: 'network', ...hostAndPort(kvAddress), tls }
    const first = await this.#connect(0, this.#target ?? network)
    const door = this.#target === null && isLocalAllowed ? decodeLocalDoor(first.welcome) : null
    if (door === null) {
      this.#target ??= network
      return this.#keep(0, first)
    }
    try {
      const local: LaneTarget = { kind: 'local', door }
      const lane = await this.#connect(0, local)
      first.socket.destroy()
      this.#target = local
      this.#keep(0, lane)
    } catch {
      // Another machine, or another network namespace.
      this.#target = network
      this.#keep(0, first)
    }
  }

  /** Opens what is missing of lane 0 and so many lanes for frames. */
  ensure(numLanes: number): void {
    if (this.#stop.signal.aborted || this.#target === null) return
    if (!this.#lanes.has(0) && this.#numOpening === 0) this.#open(0)
    while (this.#lanes.has(0) && this.#lanes.size - 1 + this.#numOpening < numLanes) this.#open(++this.#lastLane)
  }

  /** A frame came: what was lost before counts no longer. */
  worked(): void {
    this.#numLosses = 0
  }

  /** Ignored when the lane is gone. */
  send(laneId: number, messages: readonly Uint8Array[]): void {
    const socket = this.#lanes.get(laneId)?.socket
    if (socket === undefined || socket.destroyed) return
    socket.cork()
    for (const message of messages) socket.write(message)
    socket.uncork()
  }

  close(): void {
    this.#stop.abort()
  }

  #open(laneId: number): void {
    this.#numOpening++
    this.#connect(laneId, this.#target!).then(
      (lane) => {
        this.#numOpening--
        this.#keep(laneId, lane)
      },
      (error: unknown) => {
        this.#numOpening--
        this.#onLost(laneId, error)
      },
    )
  }

  #connect(laneId: number, target: LaneTarget): Promise<OpenLane> {
    const isSummed = (): boolean => target.kind === 'network' && target.tls === null
    return connectLane(target, this.#events.listenerOf(laneId, isSummed), { signal: this.#stop.signal, timeoutMs: this.#options.idleTimeoutMs })
  }

  #keep(laneId: number, lane: OpenLane): void {
    if (this.#stop.signal.aborted || lane.socket.destroyed) {
      lane.socket.destroy()
      return this.#onLost(laneId, new Error('the lane was closed'))
    }
    this.#lanes.set(laneId, lane)
    lane.socket.once('close', () => {
      this.#lanes.delete(laneId)
      this.#events.lost(laneId)
      this.#onLost(laneId, new Error('the lane was closed'))
    })
    this.#events.opened(laneId, lane.roundTripMs)
  }

  #onLost(laneId: number, cause: unknown): void {
    if (this.#stop.signal.aborted) return
    this.#numLosses++
    if (this.#numLosses > MAX_LOSSES) this.#events.failed(cause)
  }
}
