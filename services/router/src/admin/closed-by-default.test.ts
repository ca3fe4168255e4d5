// With a key set nothing is served without it, on any listener, but what is named here. Routes and RPCs are taken from the
// servers themselves, so that a new one is closed or this test fails.
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { Metadata, makeGenericClientConstructor, credentials, status } from '@grpc/grpc-js'
import type { Client, ClientDuplexStream, ServiceDefinition, StatusObject } from '@grpc/grpc-js'
import { errorDetailsOf, loadClusterPackage, loadInferencePackage } from '@rubato/rpc'
import type { FrontDoor, HttpFrontDoorOptions } from '../front-door/options.ts'
import { ScriptedRouter, silentLog } from '../front-door/scripted-router.ts'
import { startGrpcFrontDoor } from '../grpc/front-door.ts'
import { listServices } from '../grpc/reflection-client.ts'
import { startHttpFrontDoor } from '../http/front-door.ts'
import { errorOf, rawRequest } from '../http/raw-client.ts'
import { listRoutes } from '../http/routes.ts'
import { startAdminDoor } from './admin-door.ts'
import { ScriptedCluster, viewOf } from './fixtures/scripted-cluster.ts'

const KEY = 'sk-correct'

/** Served to anyone, as vLLM does: probes and scrapers hold no keys, and none of these says anything of a request. */
const OPEN_PATHS = ['/health', '/livez', '/metrics', '/version']
/** Likewise on every gRPC listener; reflection shows contracts, which are public. */
const OPEN_SERVICES = ['grpc.health.v1.Health']

const WRONG_CREDENTIALS: readonly (string | null)[] = [
  null, '', 'Bearer', 'Bearer ', 'Bearer wrong', `Bearer ${KEY}x`, `Bearer ${KEY.slice(0, -1)}`, `Bearer ${KEY.toUpperCase()}`, `Basic ${KEY}`, KEY, `Bearer null`, `Bearer ${KEY} ${KEY}`,
]

const router = new ScriptedRouter()
const cluster = new ScriptedCluster()
const common = { host: '127.0.0.1', port: 0, apiKey: KEY, log: silentLog }
const httpOptions: HttpFrontDoorOptions = { ...common, router, metrics: () => 'rubato_up 1\n', version: '1' }

suite('HTTP', () => {
  let door: FrontDoor
  const routes = listRoutes(httpOptions)
  const ask = (route: { path: string; method: string }, authorization: string | null) => rawRequest(door.port, {
    method: route.method,
    path: route.path.endsWith('/') ? `${route.path}tiny%2Fchat` : route.path,
    headers: authorization === null ? {} : { authorization },
    ...(route.method === 'POST' ? { body: '{"prompt":"x"}' } : {}),
  })

  before(async () => {
    door = await startHttpFrontDoor(httpOptions)
  })
  after(() => door.close(100))

  test('the open paths are these and no others', () => {
    assert.deepEqual(routes.filter(({ open }) => open).map(({ path }) => path).toSorted(), OPEN_PATHS)
    assert.ok(routes.length > OPEN_PATHS.length)
  })

  for (const route of routes) {
    const isOpen = OPEN_PATHS.includes(route.path)
    test(`${route.method} ${route.path} is ${isOpen ? 'open' : 'closed'}`, async () => {
      for (const authorization of WRONG_CREDENTIALS) {
        const answer = await ask(route, authorization)
        assert.equal(answer.status, isOpen ? 200 : 401, String(authorization))
        if (!isOpen) assert.equal(errorOf(answer).code, 'invalid_api_key')
      }
      assert.equal(router.calls.length, 0)
      assert.notEqual((await ask(route, `Bearer ${KEY}`)).status, 401)
      router.calls.length = 0
    })
  }
})

const DEFINITIONS: Readonly<Record<string, unknown>> = { ...loadInferencePackage().rubato.v1, ...loadClusterPackage().rubato.v1 }

const DECLARED_SERVICES = Object.entries(DEFINITIONS).filter(([, entry]) => typeof entry === 'function' && 'service' in entry).map(([name]) => `rubato.v1.${name}`).toSorted()

/** Definition of a service by its full name, from the .proto files. */
function definitionOf(service: string): ServiceDefinition {
  const found = DEFINITIONS[service.slice('rubato.v1.'.length)] as { readonly service?: ServiceDefinition } | undefined
  assert.ok(found?.service, `${service}: no .proto of ours declares it`)
  return found.service
}

function metadataOf(authorization: string | null): Metadata {
  const metadata = new Metadata()
  if (authorization !== null) metadata.set('authorization', authorization)
  return metadata
}

/** How a call with an empty request ends, whatever its kind: bytes go out as they are. */
function endOf(client: Client, path: string, metadata: Metadata): Promise<StatusObject> {
  const raw = (bytes: Buffer): Buffer => bytes
  const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(path, raw, raw, metadata)
  call.on('error', () => {})
  // Who is let in to a stream without an end has the answer to the question asked here.
  call.on('data', () => call.cancel())
  call.write(Buffer.alloc(0))
  call.end()
  return new Promise((resolve) => call.on('status', resolve))
}

suite('gRPC', () => {
  const doors: FrontDoor[] = []

  before(async () => {
    cluster.views = [viewOf('d1@1')]
    doors.push(await startGrpcFrontDoor({ ...common, router }), await startAdminDoor({ ...common, cluster, tls: null }))
  })
  after(() => Promise.all(doors.map((door) => door.close(100))))

  const checkMethod = async (client: Client, path: string): Promise<void> => {
    for (const given of WRONG_CREDENTIALS) {
      const end = await endOf(client, path, metadataOf(given))
      assert.deepEqual([path, given, end.code], [path, given, status.UNAUTHENTICATED])
      assert.equal(errorDetailsOf(end.metadata)?.reason, 'unauthenticated')
    }
    assert.notEqual((await endOf(client, path, metadataOf(`Bearer ${KEY}`))).code, status.UNAUTHENTICATED, path)
  }

  test('every RPC of every service that a listener offers is closed', async () => {
    const seen: string[] = []
    for (const door of doors) {
      const address = `127.0.0.1:${door.port}`
      const client = new (makeGenericClientConstructor({}, 'raw'))(address, credentials.createInsecure())
      const services = (await listServices(address)).filter((service) => !OPEN_SERVICES.includes(service))
      for (const service of services) {
        for (const { path } of Object.values(definitionOf(service))) await checkMethod(client, path)
      }
      seen.push(...services)
      client.close()
    }
    assert.deepEqual(seen.toSorted(), DECLARED_SERVICES)
    assert.deepEqual([router.calls.length, cluster.told.length], [0, 0])
  })
})
