// Handlers of rubato.v1.Cluster. Every call is checked for the key before anything else.
import type { Metadata, sendUnaryData } from '@grpc/grpc-js'
import { InvalidArgument, RubatoError } from '@rubato/config'
import type { DrainMessage, MigrateMessage, SetRoleMessage } from '@rubato/instance'
import { failureOf, statusOf } from '@rubato/rpc'
import type { ClusterHandlers, Load, StatusEnd } from '@rubato/rpc'
import type { FrontDoorLog } from '../front-door/options.ts'
import { bearerCheck } from '../front-door/request-headers.ts'
import { metadataReader } from '../grpc/request-mapping.ts'
import type { ClusterPort } from './cluster-port.ts'
import type { InstanceView } from '../actor/state/instances.ts'
import { roleOf, toInstance, toLoad } from './cluster-mapping.ts'
import { EventWatch } from './event-watch.ts'
import type { EventSink } from './event-watch.ts'
import { findInstance } from './instance-names.ts'

export interface ClusterServiceOptions {
  readonly cluster: ClusterPort
  readonly apiKey: string | null
  readonly log: FrontDoorLog
}

export interface ClusterService {
  readonly handlers: ClusterHandlers
  /** Ends the watches, which would hold a shutdown up. */
  close(): void
}

type WatchCall = Parameters<ClusterHandlers['WatchEvents']>[0]

interface Call {
  readonly metadata: Metadata
}

const MAX_WATCHERS = 64

export function clusterService(options: ClusterServiceOptions): ClusterService {
  const { cluster } = options
  const door = new GuardedCalls(options)
  const watch = new EventWatch(cluster)
  const handlers: ClusterHandlers = {
    ListInstances: (call, callback) => door.unary(call, callback, () => ({ instances: cluster.instances().map((view) => toInstance(view, cluster.nowMs())) })),
    GetLoad: (call, callback) => door.unary(call, callback, () => ({ loads: loadsOf(cluster, call.request.instance) })),
    Drain: (call, callback) => door.unary(call, callback, () => door.tell(call.request.instance, { kind: 'drain' })),
    Undrain: (call, callback) => door.unary(call, callback, () => door.tell(call.request.instance, { kind: 'undrain' })),
    SetRole: (call, callback) => door.unary(call, callback, () => {
      const role = roleOf(call.request.role)
      if (role === null) throw new InvalidArgument('role', 'role must be ROLE_PREFILL, ROLE_DECODE or ROLE_MIXED.')
      return door.tell(call.request.instance, { kind: 'set-role', role })
    }),
    Migrate: (call, callback) => door.unary(call, callback, () => door.migrate(call.request.requestId, call.request.instance)),
    WatchEvents: (call) => door.stream(call, () => startWatch(call, watch)),
  }
  return { handlers, close: () => watch.close() }
}

/** What all calls share: the key, the errors, and the way to an instance. */
class GuardedCalls {
  readonly #cluster: ClusterPort
  readonly #log: FrontDoorLog
  readonly #checkKey: (authorization: string | undefined) => void

  constructor({ cluster, apiKey, log }: ClusterServiceOptions) {
    this.#cluster = cluster
    this.#log = log
    this.#checkKey = bearerCheck(apiKey)
  }

  unary<T>({ metadata }: Call, callback: sendUnaryData<T>, answer: () => T): void {
    try {
      this.#authorize(metadata)
      callback(null, answer())
    } catch (error) {
      callback(this.#ending(error))
    }
  }

  stream(call: WatchCall, start: () => void): void {
    try {
      this.#authorize(call.metadata)
      start()
    } catch (error) {
      call.emit('error', this.#ending(error))
    }
  }

  /** The move begins if both instances are free for it; the request's timing and the load reports show that it ended. */
  migrate(requestId: string, given: string): { instanceId: string } {
    const instances = this.#cluster.instances()
    const destination = findInstance(instances, given)
    const owner = instances.find(({ instanceId }) => instanceId === this.#cluster.ownerOf(requestId))
    if (owner === undefined) throw new RubatoError('not_found', `This router has no running request ${JSON.stringify(requestId)}; ask the router that serves it.`, { field: 'request_id' })
    if (owner === destination) throw new RubatoError('failed_precondition', `The request runs on ${destination.instanceId} already.`, { field: 'instance' })
    if (destination.draining) throw new RubatoError('failed_precondition', `${destination.instanceId} is draining.`, { field: 'instance' })
    const { instanceId, address } = destination
    return this.#tell(owner, { kind: 'migrate', requestId, to: { instanceId, address }, forMs: 0 }, instanceId)
  }

  tell(given: string, message: DrainMessage | SetRoleMessage): { instanceId: string } {
    const instance = findInstance(this.#cluster.instances(), given)
    return this.#tell(instance, message, instance.instanceId)
  }

  #tell({ instanceId, address }: InstanceView, message: DrainMessage | MigrateMessage | SetRoleMessage, answer: string): { instanceId: string } {
    this.#cluster.tell(address, message)
    this.#log.info({ instanceId, ...message }, 'operator told an instance')
    return { instanceId: answer }
  }

  #authorize(metadata: Metadata): void {
    this.#checkKey(metadataReader(metadata)('authorization'))
  }

  #ending(error: unknown): StatusEnd {
    const failure = failureOf(error)
    if (failure.code === 'internal') this.#log.error({ err: error }, 'admin call failed')
    return statusOf(failure)
  }
}

function loadsOf(cluster: ClusterPort, given: string): Load[] {
  const all = cluster.instances()
  const asked = given === '' ? all : [findInstance(all, given)]
  return asked.map((view) => toLoad(view, cluster.nowMs())).filter((load) => load !== null)
}

function startWatch(call: WatchCall, watch: EventWatch): void {
  if (watch.size >= MAX_WATCHERS) throw new RubatoError('resource_exhausted', `There are ${MAX_WATCHERS} watchers already.`)
  const sink: EventSink = {
    write: (event, onTaken) => void call.write(event, onTaken),
    tooSlow: () => call.emit('error', statusOf(failureOf(new RubatoError('resource_exhausted', 'The watcher read too slowly; watch again.')))),
    end: () => call.end(),
  }
  call.on('cancelled', () => watch.remove(sink))
  watch.add(sink)
}
