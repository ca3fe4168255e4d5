// The lanes to one sender: the first one greets, and finds out whether all can go over a socket of this machine.
//
// 1. Lane 0 carries messages. Lanes 1, 2, ... carry frames; a number is used once.
// 2. Lanes that are lost are opened anew by the next ensure(): lane 0 always, the others unless that has failed before. A sender that
//    started anew has another local socket, so lane 0 asks over the network when the one it knows is gone.
// 3. Lanes that go before a frame came count as one loss together when they were opened together; MAX_LOSSES in a row fail them all.
import type { KvTls } from '../../kv-tls.ts'
import type { LaneListener } from '../lane-reader.ts'
import { decodeLocalDoor } from '../local-door.ts'
import type { LocalDoor } from '../local-door.ts'
import { NoLanes, connectLane, hostAndPort } from './connect-lane.ts'
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
  listenerOf(laneId: number, isSummed: boolean): LaneListener
  /** The lane can be used; how long its hello took. */
  opened(laneId: number, roundTripMs: number): void
  /** It was opened, and is gone. */
  lost(laneId: number): void
  /** No lane can be had, or too many were lost. */
  failed(cause: unknown): void
}

const MAX_LOSSES = 3

interface Lane {
  readonly socket: OpenLane['socket']
  /** Losses so far when it was opened. */
  readonly generation: number
  hasWorked: boolean
}

export class LaneSet {
  readonly #options: LaneSetOptions
  readonly #events: LaneEvents
  readonly #network: LaneTarget
  readonly #lanes = new Map<number, Lane>()
  #kind: LaneKind | null = null
  /** Of the sender, as long as it opens; null: lanes go over the network. */
  #door: LocalDoor | null = null
  #isGreeting = false
  #numOpening = 0
  #maxFrameLanes = Number.MAX_SAFE_INTEGER
  #lastLane = 0
  #generation = 0
  #numLosses = 0
  readonly #stop = new AbortController()

  constructor(options: LaneSetOptions, events: LaneEvents) {
    this.#options = options
    this.#events = events
    this.#network = { kind: 'network', ...hostAndPort(options.kvAddress), tls: options.tls }
  }

  /** What lanes go over; null: nothing was opened yet. */
  get kind(): LaneKind | null {
    return this.#kind
  }

  /** Opens lane 0. Rejects with NoLanes when the sender speaks none, or with what connecting failed with. */
  async greet(): Promise<void> {
    this.#keep(0, await this.#first())
  }

  /** Opens what is missing of lane 0 and so many lanes for frames. Call after greet(). */
  ensure(numLanes: number): void {
    if (this.#stop.signal.aborted) return
    if (!this.#lanes.has(0)) return this.#greetAgain()
    const wanted = Math.min(numLanes, this.#maxFrameLanes)
    while (this.#lanes.size - 1 + this.#numOpening < wanted) this.#open(++this.#lastLane)
  }

  /** A frame came over the lane: what was lost before counts no longer. */
  worked(laneId: number): void {
    this.#numLosses = 0
    const lane = this.#lanes.get(laneId)
    if (lane !== undefined) lane.hasWorked = true
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

  async #first(): Promise<OpenLane> {
    if (this.#door !== null) {
      try {
        return await this.#connect(0, { kind: 'local', door: this.#door })
      } catch {
        this.#door = null
      }
    }
    const lane = await this.#connect(0, this.#network)
    const door = this.#options.isLocalAllowed ? decodeLocalDoor(lane.welcome) : null
    if (door === null) return lane
    try {
      const local = await this.#connect(0, { kind: 'local', door })
      lane.socket.destroy()
      this.#door = door
      return local
    } catch {
      // Another machine, or another network namespace.
      return lane
    }
  }

  #greetAgain(): void {
    if (this.#isGreeting) return
    this.#isGreeting = true
    this.#first().then(
      (lane) => {
        this.#isGreeting = false
        this.#keep(0, lane)
      },
      (error: unknown) => {
        this.#isGreeting = false
        if (error instanceof NoLanes) this.#onLost(0, this.#generation, error)
        else if (!this.#stop.signal.aborted) this.#events.failed(error)
      },
    )
  }

  #open(laneId: number): void {
    const generation = this.#generation
    this.#numOpening++
    this.#connect(laneId, this.#door === null ? this.#network : { kind: 'local', door: this.#door }).then(
      (lane) => {
        this.#numOpening--
        this.#keep(laneId, lane, generation)
      },
      () => {
        this.#numOpening--
        this.#maxFrameLanes = Math.max(0, this.#lanes.size - 1) + this.#numOpening
      },
    )
  }

  #connect(laneId: number, target: LaneTarget): Promise<OpenLane> {
    const isSummed = target.kind === 'network' && target.tls === null
    return connectLane(target, this.#events.listenerOf(laneId, isSummed), { signal: this.#stop.signal, timeoutMs: this.#options.idleTimeoutMs })
  }

  #keep(laneId: number, { socket, roundTripMs }: OpenLane, generation = this.#generation): void {
    if (this.#stop.signal.aborted) return void socket.destroy()
    if (socket.destroyed) return this.#onLost(laneId, generation)
    const lane: Lane = { socket, generation, hasWorked: false }
    this.#lanes.set(laneId, lane)
    if (laneId === 0) this.#kind = this.#door === null ? 'tcp' : 'unix'
    socket.once('close', () => {
      this.#lanes.delete(laneId)
      if (lane.hasWorked) this.#events.lost(laneId)
      else this.#onLost(laneId, generation)
    })
    this.#events.opened(laneId, roundTripMs)
  }

  /** It is gone before any frame came over it. */
  #onLost(laneId: number, generation: number, cause: unknown = new Error('the lane was closed')): void {
    if (this.#stop.signal.aborted) return
    if (generation === this.#generation) {
      this.#generation++
      this.#numLosses++
    }
    if (this.#numLosses > MAX_LOSSES) this.#events.failed(cause)
    else this.#events.lost(laneId)
  }
}
