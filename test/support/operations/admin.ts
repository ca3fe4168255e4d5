// The operator's side of a cluster in tests: the Cluster service of one router.
import { setTimeout as delay } from 'node:timers/promises'
import { Metadata } from '@grpc/grpc-js'
import type { Client } from '@grpc/grpc-js'
import { discover, unary } from '../../../services/router/src/grpc/reflection-client.ts'

export interface ListedInstance {
  readonly instance_id: string
  readonly name: string
  readonly role: string
  readonly incarnation: number
  readonly draining: boolean
  readonly num_requests: number
}

export interface ListedLoad {
  readonly instance_id: string
  readonly num_running: number
  readonly num_waiting: number
  readonly free_blocks: number
  readonly cached_blocks: number
  readonly total_blocks: number
  readonly prefix_query_tokens_total: number
}

const POLL_MS = 25

export class Admin {
  readonly #client: Client

  private constructor(client: Client) {
    this.#client = client
  }

  static async connect(address: string): Promise<Admin> {
    return new Admin(await discover(address, 'rubato.v1.Cluster'))
  }

  async instances(): Promise<readonly ListedInstance[]> {
    return (await this.#call<{ instances: readonly ListedInstance[] }>('ListInstances', {})).instances
  }

  async instance(name: string): Promise<ListedInstance | undefined> {
    return (await this.instances()).find((listed) => listed.name === name)
  }

  async loads(): Promise<readonly ListedLoad[]> {
    return (await this.#call<{ loads: readonly ListedLoad[] }>('GetLoad', {})).loads
  }

  async load(name: string): Promise<ListedLoad | undefined> {
    return (await this.loads()).find(({ instance_id: id }) => id.startsWith(`${name}@`))
  }

  drain(instance: string): Promise<unknown> {
    return this.#call('Drain', { instance })
  }

  undrain(instance: string): Promise<unknown> {
    return this.#call('Undrain', { instance })
  }

  setRole(instance: string, role: 'ROLE_PREFILL' | 'ROLE_DECODE' | 'ROLE_MIXED'): Promise<unknown> {
    return this.#call('SetRole', { instance, role })
  }

  /** Nothing runs, waits or is held on any instance, by their latest reports. */
  async isIdle(): Promise<boolean> {
    return (await this.loads()).every((load) => load.num_running + load.num_waiting === 0 && load.free_blocks + load.cached_blocks === load.total_blocks)
  }

  /** Resolves once the condition holds, asked at a pace that leaves the machine to the cluster. */
  async until(condition: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await condition())) await delay(POLL_MS)
  }

  close(): void {
    this.#client.close()
  }

  #call<T>(method: string, request: object): Promise<T> {
    return unary<T>(this.#client, method, request, new Metadata())
  }
}
