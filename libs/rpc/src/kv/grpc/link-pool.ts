// Channels to peers, one per address, shared by the pulls from it.
//
// 1. A channel with a pull under way is never closed for being idle or for lack of room.
// 2. After a failure of its link a channel is not given out again: the next pull connects anew, without the backoff of the old.
import { Client } from '@grpc/grpc-js'
import type { ChannelCredentials, ChannelOptions } from '@grpc/grpc-js'

export interface LinkPoolOptions {
  readonly credentials: ChannelCredentials
  readonly maxReceiveBytes: number
  /** A channel without a pull for this long is closed. */
  readonly idleCloseMs: number
  /** Channels kept beyond those in use. */
  readonly maxIdle: number
}

export interface Link {
  readonly client: Client
  /** Gives the channel back. `isAlive` false: its link failed. Call once. */
  release(isAlive: boolean): void
}

interface PooledChannel {
  readonly client: Client
  numUses: number
  idleTimer: NodeJS.Timeout | undefined
}

/** Receive window of a stream and of the connection: the fastest measured; larger is slower. */
const WINDOW_BYTES = 1 << 20
const KEEPALIVE_TIME_MS = 10_000
const KEEPALIVE_TIMEOUT_MS = 5_000

export class LinkPool {
  readonly #options: LinkPoolOptions
  readonly #channels = new Map<string, PooledChannel>()
  #isClosed = false

  constructor(options: LinkPoolOptions) {
    this.#options = options
  }

  /** Channels that would be given out again. */
  get size(): number {
    return this.#channels.size
  }

  acquire(address: string): Link {
    const channel = this.#channels.get(address) ?? this.#open(address)
    channel.numUses++
    clearTimeout(channel.idleTimer)
    return { client: channel.client, release: (isAlive) => this.#release(address, channel, isAlive) }
  }

  /** Closes idle channels now and the others as they are given back. Idempotent. */
  close(): void {
    this.#isClosed = true
    for (const [address, channel] of this.#channels) this.#drop(address, channel)
  }

  #open(address: string): PooledChannel {
    const options: ChannelOptions = {
      'grpc-node.flow_control_window': WINDOW_BYTES,
      'grpc.max_receive_message_length': this.#options.maxReceiveBytes,
      'grpc.keepalive_time_ms': KEEPALIVE_TIME_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      // A pull is never tried again under the same token.
      'grpc.enable_retries': 0,
      // Else a new channel would inherit the connection, and the backoff, of the one that failed.
      'grpc.use_local_subchannel_pool': 1,
    }
    const channel = { client: new Client(address, this.#options.credentials, options), numUses: 0, idleTimer: undefined }
    this.#channels.set(address, channel)
    return channel
  }

  #release(address: string, channel: PooledChannel, isAlive: boolean): void {
    channel.numUses--
    if (!isAlive || this.#isClosed) this.#forget(address, channel)
    if (channel.numUses > 0) return
    if (this.#channels.get(address) !== channel) return channel.client.close()
    channel.idleTimer = setTimeout(() => this.#drop(address, channel), this.#options.idleCloseMs)
    channel.idleTimer.unref()
    this.#makeRoom(address, channel)
  }

  /** The channels longest idle go first. */
  #makeRoom(address: string, newest: PooledChannel): void {
    this.#channels.delete(address)
    this.#channels.set(address, newest)
    const idle = [...this.#channels].filter(([, { numUses }]) => numUses === 0)
    for (const [each, channel] of idle.slice(0, Math.max(0, idle.length - this.#options.maxIdle))) this.#drop(each, channel)
  }

  #forget(address: string, channel: PooledChannel): void {
    if (this.#channels.get(address) === channel) this.#channels.delete(address)
  }

  #drop(address: string, channel: PooledChannel): void {
    this.#forget(address, channel)
    clearTimeout(channel.idleTimer)
    if (channel.numUses === 0) channel.client.close()
  }
}
