// Everybody who watches the cluster's events. One look at the cluster per period serves all of them; without a watcher
// nobody looks.
//
// 1. A watcher hears of the instances there are, then of every change after that, in order, none twice.
// 2. A watcher holds at most MAX_UNREAD events; one that reads slower is ended.
import type { ClusterEvent } from '@rubato/rpc'
import type { ClusterPort } from './cluster-port.ts'
import { toEvent, toInitialEvent } from './cluster-mapping.ts'
import { ClusterTracker } from './cluster-tracker.ts'
import type { ClusterState } from './cluster-tracker.ts'

/** A call that events are written to. */
export interface EventSink {
  /** Calls back once the event left for the network. */
  write(event: ClusterEvent, onTaken: () => void): void
  /** The watcher read too slowly: nothing more is written. */
  tooSlow(): void
  /** No more events: the door closes. */
  end(): void
}

interface Watcher {
  readonly sink: EventSink
  numUnread: number
}

const PERIOD_MS = 200
const MAX_UNREAD = 1024

export class EventWatch {
  readonly #cluster: ClusterPort
  readonly #watchers = new Map<EventSink, Watcher>()
  #tracker: ClusterTracker | null = null
  #timer: NodeJS.Timeout | null = null

  constructor(cluster: ClusterPort) {
    this.#cluster = cluster
  }

  get size(): number {
    return this.#watchers.size
  }

  add(sink: EventSink): void {
    this.look()
    this.#tracker ??= new ClusterTracker(this.#state())
    this.#timer ??= setInterval(() => this.look(), PERIOD_MS).unref()
    const watcher: Watcher = { sink, numUnread: 0 }
    this.#watchers.set(sink, watcher)
    const nowMs = this.#cluster.nowMs()
    for (const instance of this.#tracker.instances()) this.#write(watcher, toInitialEvent(instance, nowMs))
  }

  /** Idempotent. */
  remove(sink: EventSink): void {
    this.#watchers.delete(sink)
    if (this.#watchers.size > 0 || this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
    this.#tracker = null
  }

  /** Tells every watcher what changed since the last look. */
  look(): void {
    if (this.#tracker === null) return
    const changes = this.#tracker.observe(this.#state())
    const nowMs = this.#cluster.nowMs()
    for (const change of changes) {
      const event = toEvent(change, nowMs)
      for (const watcher of this.#watchers.values()) this.#write(watcher, event)
    }
  }

  close(): void {
    for (const { sink } of this.#watchers.values()) {
      this.remove(sink)
      sink.end()
    }
  }

  #state(): ClusterState {
    return { instances: this.#cluster.instances(), recoveriesTotal: this.#cluster.recoveriesTotal() }
  }

  #write(watcher: Watcher, event: ClusterEvent): void {
    if (!this.#watchers.has(watcher.sink)) return
    if (watcher.numUnread >= MAX_UNREAD) {
      this.remove(watcher.sink)
      watcher.sink.tooSlow()
      return
    }
    watcher.numUnread += 1
    watcher.sink.write(event, () => {
      watcher.numUnread -= 1
    })
  }
}
