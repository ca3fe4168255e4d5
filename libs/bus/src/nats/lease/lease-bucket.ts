// The leases of a cluster as the broker keeps them: a memory bucket whose entries vanish at their TTL. All NATS calls about
// leases are here.
//
// 1. Every write names the revision that it replaces, so that only one of two writers succeeds.
// 2. The bucket dies with the broker. Whatever is asked first after that makes it anew, with another `bucketId`.
// 3. The broker publishes a change after it was stored; it publishes nothing when a lease lapses.
import { jetstream, JetStreamApiCodes, JetStreamApiError, jetstreamManager, StorageType } from '@nats-io/jetstream'
import type { JetStreamManager } from '@nats-io/jetstream'
import { Kvm } from '@nats-io/kv'
import type { KV } from '@nats-io/kv'
import type { NatsConnection } from '@nats-io/transport-node'
import type { ConnectionState } from '../connection-state.ts'
import { leaseBucketName, leaseSubjectPrefix } from '../subjects.ts'

export interface StoredLease {
  readonly value: string
  readonly revision: number
}

export interface LeaseSnapshot {
  /** Another one after the broker lost its leases. */
  readonly bucketId: string
  readonly keys: ReadonlySet<string>
}

/** value null: the lease was given back. */
export type LeaseListener = (change: { readonly key: string; readonly value: string | null; readonly revision: number }) => void

export interface LeaseBucketOptions {
  readonly connection: NatsConnection
  readonly state: ConnectionState
  readonly cluster: string
  readonly ttlMs: number
}

interface OpenBucket {
  readonly kv: KV
  readonly manager: JetStreamManager
}

const REQUEST_TIMEOUT_MS = 1000

export class LeaseBucket {
  readonly #options: LeaseBucketOptions
  readonly #name: string
  readonly #prefix: string
  #opened: Promise<OpenBucket> | null = null

  constructor(options: LeaseBucketOptions) {
    this.#options = options
    this.#name = leaseBucketName(options.cluster, options.ttlMs)
    this.#prefix = leaseSubjectPrefix(options.cluster, options.ttlMs)
    options.state.subscribe(() => (this.#opened = null))
  }

  /** The revision, or null when the key is taken. Rejects when the broker does not answer, as all of these do. */
  create(key: string, value: string): Promise<number | null> {
    return this.#use(({ kv }) => unlessConflict(kv.create(key, value)))
  }

  /** The new revision, or null when `revision` is not the current one. */
  update(key: string, value: string, revision: number): Promise<number | null> {
    return this.#use(({ kv }) => unlessConflict(kv.update(key, value, revision, REQUEST_TIMEOUT_MS)))
  }

  /** Removes the lease unless it changed since `revision`. */
  async remove(key: string, revision: number): Promise<void> {
    await this.#use(({ kv }) => unlessConflict(kv.delete(key, { previousSeq: revision }).then(() => 0)))
  }

  async read(key: string): Promise<StoredLease | null> {
    return this.#use(async ({ kv }) => {
      const entry = await kv.get(key)
      return entry === null || entry.operation !== 'PUT' ? null : { value: entry.string(), revision: entry.revision }
    })
  }

  /** The keys that the broker has now. One that was given back stays among them until its TTL. */
  snapshot(): Promise<LeaseSnapshot> {
    return this.#use(async ({ manager }) => {
      const { created, state } = await manager.streams.info(`KV_${this.#name}`, { subjects_filter: '>' })
      const keyStart = `$KV.${this.#name}.`.length
      return { bucketId: created.toString(), keys: new Set(Object.keys(state.subjects ?? {}).map((subject) => subject.slice(keyStart))) }
    })
  }

  /** Tells every change from now on, across reconnects. Returns the end of it. */
  subscribe(listener: LeaseListener): () => void {
    const subscription = this.#options.connection.subscribe(`${this.#prefix}>`, {
      callback: (error, message) => {
        if (error !== null) return
        const key = message.subject.slice(this.#prefix.length)
        const isPut = (message.headers?.get('KV-Operation') ?? '') === ''
        listener({ key, value: isPut ? message.string() : null, revision: Number(message.headers?.get('Nats-Sequence') ?? 0) })
      },
    })
    return () => subscription.unsubscribe()
  }

  async #use<T>(request: (bucket: OpenBucket) => Promise<T>): Promise<T> {
    this.#opened ??= this.#open()
    const opened = this.#opened
    try {
      return await request(await opened)
    } catch (error) {
      // The bucket may be gone: look again, and make it again, before the next request.
      if (this.#opened === opened) this.#opened = null
      throw error
    }
  }

  async #open(): Promise<OpenBucket> {
    const client = jetstream(this.#options.connection, { timeout: REQUEST_TIMEOUT_MS })
    const manager = await jetstreamManager(this.#options.connection, { timeout: REQUEST_TIMEOUT_MS, checkAPI: false })
    const kv = await new Kvm(client).create(this.#name, {
      ttl: this.#options.ttlMs,
      storage: StorageType.Memory,
      history: 1,
      republish: { src: `$KV.${this.#name}.>`, dest: `${this.#prefix}>` },
    })
    return { kv, manager }
  }
}

/** null where the broker says that another revision is current. */
async function unlessConflict(write: Promise<number>): Promise<number | null> {
  try {
    return await write
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamWrongLastSequence) return null
    throw error
  }
}
