// The admin door, used by a client that discovers it through reflection.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, beforeEach, suite, test } from 'node:test'
import { Metadata, status } from '@grpc/grpc-js'
import type { Client, ClientReadableStream, ServiceError } from '@grpc/grpc-js'
import { InvalidArgument, RubatoError } from '@rubato/config'
import { errorDetailsOf } from '@rubato/rpc'
import type { FrontDoor } from '../front-door/options.ts'
import { silentLog } from '../front-door/scripted-router.ts'
import { discover, listServices, unary } from '../grpc/reflection-client.ts'
import { startAdminDoor } from './admin-door.ts'
import { ScriptedCluster, viewOf } from './fixtures/scripted-cluster.ts'

const CLUSTER = 'rubato.v1.Cluster'
const COMMON = { host: '127.0.0.1', port: 0, apiKey: null, tls: null, log: silentLog }

interface SeenInstance {
  readonly instance_id: string
  [field: string]: unknown
}

interface SeenEvent {
  readonly kind: string
  readonly instance: SeenInstance | null
  readonly initial: boolean
  readonly num_recoveries: number
}

suite('admin door', () => {
  const cluster = new ScriptedCluster()
  let door: FrontDoor
  let client: Client
  const call = <T>(name: string, request: object = {}): Promise<T> => unary<T>(client, name, request, new Metadata())
  const failure = async (name: string, request: object): Promise<ServiceError> => {
    const error: unknown = await call(name, request).then(() => assert.fail(`${name} worked`), (thrown: unknown) => thrown)
    return error as ServiceError
  }
  const watch = (): ClientReadableStream<SeenEvent> => {
    const method = (client as unknown as Record<string, (request: object, metadata: Metadata) => ClientReadableStream<SeenEvent>>)['WatchEvents']!
    return method.call(client, {}, new Metadata())
  }

  before(async () => {
    door = await startAdminDoor({ ...COMMON, cluster })
    client = await discover(`127.0.0.1:${door.port}`, CLUSTER)
  })
  beforeEach(() => {
    cluster.views = [
      viewOf('p1@7f3a', { role: 'prefill', kvAddress: '10.0.0.1:7001', incarnation: 4 }, { numRequests: 2, lastHeardMs: 400 }),
      viewOf('d1@01', { role: 'decode', draining: true, freenessBlocks: 12.5, pullBytesPerSec: 2e9, pendingPrefillTokens: 77 }),
      viewOf('d2@01', {}, { load: null }), viewOf('d2@02'),
    ]
    cluster.told.length = 0
    cluster.time = 1000
  })
  after(async () => {
    client.close()
    await door.close(1000)
  })

  test('reflection lists the service and health', async () => {
    assert.deepEqual((await listServices(`127.0.0.1:${door.port}`)).toSorted(), ['grpc.health.v1.Health', CLUSTER])
  })

  test('ListInstances says who is there', async () => {
    const { instances } = await call<{ instances: SeenInstance[] }>('ListInstances')
    assert.deepEqual(instances.map(({ instance_id: id, role, draining }) => [id, role, draining]), [
      ['p1@7f3a', 'ROLE_PREFILL', false], ['d1@01', 'ROLE_DECODE', true], ['d2@01', 'ROLE_MIXED', false], ['d2@02', 'ROLE_MIXED', false],
    ])
    const first = { ...instances[0] }
    delete first['_kv_address']
    assert.deepEqual(first, {
      instance_id: 'p1@7f3a', name: 'p1', incarnation: 4, role: 'ROLE_PREFILL', draining: false, num_requests: 2, silent_ms: 600, model_fingerprint: 'f1', kv_address: '10.0.0.1:7001',
    })
    assert.deepEqual([instances[2]?.['model_fingerprint'], instances[2]?.['kv_address']], ['', undefined])
  })

  test('GetLoad gives the load of one or of all that reported', async () => {
    const { loads: all } = await call<{ loads: SeenInstance[] }>('GetLoad')
    assert.deepEqual(all.map(({ instance_id: id }) => id), ['p1@7f3a', 'd1@01', 'd2@02'])
    const { loads: [one] } = await call<{ loads: SeenInstance[] }>('GetLoad', { instance: 'd1' })
    assert.deepEqual([one?.['freeness_blocks'], one?.['pull_bytes_per_sec'], one?.['pending_prefill_tokens'], one?.['silent_ms'], one?.['free_blocks']], [12.5, 2e9, 77, 1000, 100])
    assert.equal((await failure('GetLoad', { instance: 'd3' })).code, status.NOT_FOUND)
  })

  test('Drain, Undrain and SetRole reach the instance meant', async () => {
    assert.deepEqual(await call('Drain', { instance: 'p1' }), { instance_id: 'p1@7f3a' })
    await call('Undrain', { instance: 'd1@01' })
    await call('SetRole', { instance: 'd2@02', role: 'ROLE_PREFILL' })
    assert.deepEqual(cluster.told, [
      { address: 'instance/p1@7f3a', message: { kind: 'drain' } }, { address: 'instance/d1@01', message: { kind: 'undrain' } },
      { address: 'instance/d2@02', message: { kind: 'set-role', role: 'prefill' } },
    ])
  })

  test('what cannot be meant reaches nobody, with the field and the choice there is', async () => {
    const cases: readonly (readonly [string, object, number, string, RegExp])[] = [
      ['Drain', { instance: 'nobody' }, status.NOT_FOUND, 'instance', /known: d1, d2, p1\./],
      ['Undrain', { instance: 'd2' }, status.FAILED_PRECONDITION, 'instance', /d2@01, d2@02/],
      ['Drain', {}, status.INVALID_ARGUMENT, 'instance', /Name an instance/],
      ['SetRole', { instance: 'p1' }, status.INVALID_ARGUMENT, 'role', /ROLE_DECODE/],
      ['SetRole', { instance: 'p1', role: 9 }, status.INVALID_ARGUMENT, 'role', /ROLE_DECODE/],
      ['SetRole', { instance: 'nobody', role: 1 }, status.NOT_FOUND, 'instance', /known/],
    ]
    for (const [name, request, code, field, message] of cases) {
      const error = await failure(name, request)
      assert.deepEqual([name, error.code, errorDetailsOf(error.metadata)?.field], [name, code, field])
      assert.match(error.details, message)
    }
    assert.deepEqual(cluster.told, [])
  })

  test('Migrate tells the owner of the request where it is to go', async () => {
    cluster.owners.set('q1', 'd1@01')
    assert.deepEqual(await call('Migrate', { request_id: 'q1', instance: 'p1' }), { instance_id: 'p1@7f3a' })
    const to = { instanceId: 'p1@7f3a', address: 'instance/p1@7f3a' }
    assert.deepEqual(cluster.told, [{ address: 'instance/d1@01', message: { kind: 'migrate', requestId: 'q1', to, forMs: 0 } }])
  })

  test('Migrate says why it cannot', async () => {
    cluster.owners.set('q1', 'p1@7f3a')
    const cases: readonly (readonly [object, number, string, RegExp])[] = [
      [{ request_id: 'q2', instance: 'p1' }, status.NOT_FOUND, 'request_id', /no running request "q2"/],
      [{ request_id: 'q1', instance: 'p1' }, status.FAILED_PRECONDITION, 'instance', /runs on p1@7f3a already/],
      [{ request_id: 'q1', instance: 'd1' }, status.FAILED_PRECONDITION, 'instance', /draining/],
      [{ request_id: 'q1', instance: 'x' }, status.NOT_FOUND, 'instance', /known/],
    ]
    for (const [request, code, field, message] of cases) {
      const error = await failure('Migrate', request)
      assert.deepEqual([error.code, errorDetailsOf(error.metadata)?.field], [code, field])
      assert.match(error.details, message)
    }
    assert.deepEqual(cluster.told, [])
  })

  test('WatchEvents tells who is there and then what changes', async () => {
    const stream = watch()
    const seen: SeenEvent[] = []
    const next = async (): Promise<SeenEvent> => {
      const [event] = (await once(stream, 'data')) as [SeenEvent]
      return event
    }
    stream.on('data', (event: SeenEvent) => seen.push(event))
    stream.on('error', () => {})
    while (seen.length < 3) await next()
    assert.deepEqual(seen.map(({ kind, instance, initial }) => [kind, instance?.instance_id, initial]), [
      ['CLUSTER_EVENT_KIND_JOINED', 'p1@7f3a', true], ['CLUSTER_EVENT_KIND_JOINED', 'd1@01', true], ['CLUSTER_EVENT_KIND_JOINED', 'd2@02', true],
    ])
    cluster.views = [viewOf('p1@8', { role: 'prefill' }), viewOf('d1@01', { role: 'decode', draining: true }), viewOf('d2@02')]
    while (seen.length < 5) await next()
    assert.deepEqual(seen.slice(3).map(({ kind, instance, initial }) => [kind, instance?.instance_id, initial]), [
      ['CLUSTER_EVENT_KIND_FENCED', 'p1@7f3a', false], ['CLUSTER_EVENT_KIND_JOINED', 'p1@8', false],
    ])
    cluster.recoveries += 2
    while (seen.length < 6) await next()
    assert.deepEqual([seen[5]?.kind, seen[5]?.instance, seen[5]?.num_recoveries], ['CLUSTER_EVENT_KIND_RECOVERED', null, 2])
    stream.cancel()
  })

  test('closing ends the watches instead of waiting for them', async () => {
    const other = await startAdminDoor({ ...COMMON, cluster })
    const itsClient = await discover(`127.0.0.1:${other.port}`, CLUSTER)
    const method = (itsClient as unknown as Record<string, (request: object, metadata: Metadata) => ClientReadableStream<SeenEvent>>)['WatchEvents']!
    const stream = method.call(itsClient, {}, new Metadata()).resume()
    await once(stream, 'data')
    const ended = once(stream, 'end')
    await other.close(60_000)
    await ended
    itsClient.close()
  })
})

test('a listener that others can reach asks who they are', async () => {
  const cluster = new ScriptedCluster()
  for (const host of ['0.0.0.0', '::', '10.1.2.3', 'admin.example', '128.0.0.1']) {
    await assert.rejects(startAdminDoor({ ...COMMON, cluster, host }), (error) => error instanceof InvalidArgument && /--insecure/.test(error.message), host)
  }
  const started = [
    await startAdminDoor({ ...COMMON, cluster, host: '0.0.0.0', apiKey: 'k' }), await startAdminDoor({ ...COMMON, cluster, host: '0.0.0.0', insecure: true }),
    await startAdminDoor({ ...COMMON, cluster, host: 'localhost' }), await startAdminDoor({ ...COMMON, cluster }),
  ]
  const taken = startAdminDoor({ ...COMMON, cluster, port: started[3]!.port })
  await assert.rejects(taken, (error) => error instanceof RubatoError && error.code === 'address_in_use' && error.field === '--admin-port')
  await Promise.all(started.map((door) => door.close(1000)))
})
