// A gRPC client for tests that knows no .proto of ours: it asks the server's reflection v1 for the descriptors.
import { createRequire } from 'node:module'
import { once } from 'node:events'
import path from 'node:path'
import { credentials, loadPackageDefinition, makeGenericClientConstructor } from '@grpc/grpc-js'
import type { Client, ClientDuplexStream, ClientReadableStream, GrpcObject, Metadata, ServiceClientConstructor, ServiceDefinition, StatusObject } from '@grpc/grpc-js'
import { loadFileDescriptorSetFromBuffer, loadSync } from '@grpc/proto-loader'
import type { Options } from '@grpc/proto-loader'

const OPTIONS: Options = { keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true }
const require = createRequire(import.meta.url)

interface ReflectionAnswer {
  readonly file_descriptor_response?: { readonly file_descriptor_proto: readonly Uint8Array[] }
  readonly list_services_response?: { readonly service: readonly { readonly name: string }[] }
  readonly error_response?: { readonly error_message: string }
}

function reflectionService(): ServiceClientConstructor {
  const file = path.join(path.dirname(require.resolve('@grpc/reflection')), '../proto/grpc/reflection/v1/reflection.proto')
  const loaded = loadPackageDefinition(loadSync(file, OPTIONS)) as unknown as { grpc: { reflection: { v1: GrpcObject } } }
  return loaded.grpc.reflection.v1['ServerReflection'] as ServiceClientConstructor
}

async function askReflection(address: string, question: object): Promise<ReflectionAnswer> {
  const client = new (reflectionService())(address, credentials.createInsecure())
  const stream = (client['ServerReflectionInfo'] as () => ClientDuplexStream<object, ReflectionAnswer>).call(client)
  stream.write(question)
  const [answer] = (await once(stream, 'data')) as [ReflectionAnswer]
  stream.end()
  stream.resume()
  await once(stream, 'end')
  client.close()
  return answer
}

export async function listServices(address: string): Promise<readonly string[]> {
  const answer = await askReflection(address, { list_services: '*' })
  return (answer.list_services_response?.service ?? []).map((service) => service.name)
}

/** FileDescriptorSet has one field: repeated FileDescriptorProto file = 1. */
function descriptorSet(files: readonly Uint8Array[]): Buffer {
  const parts: Uint8Array[] = []
  for (const file of files) {
    const header = [0x0a]
    let length = file.length
    for (; length > 0x7f; length >>>= 7) header.push((length & 0x7f) | 0x80)
    parts.push(Uint8Array.from([...header, length]), file)
  }
  return Buffer.concat(parts)
}

/** A client of the service, built from what the server says about itself. Fields keep the names of the .proto; maps are lists of entries. */
export async function discover(address: string, service: string, maxSendBytes = -1): Promise<Client> {
  const answer = await askReflection(address, { file_containing_symbol: service })
  if (answer.file_descriptor_response === undefined) throw new Error(`reflection: ${answer.error_response?.error_message ?? 'no answer'}`)
  const definition = loadFileDescriptorSetFromBuffer(descriptorSet(answer.file_descriptor_response.file_descriptor_proto), OPTIONS)[service]
  const Constructor = makeGenericClientConstructor(definition as ServiceDefinition, service)
  return new Constructor(address, credentials.createInsecure(), { 'grpc.max_send_message_length': maxSendBytes })
}

export interface Generated {
  readonly index: number
  readonly text: string
  readonly token_ids: readonly number[]
  readonly logprobs: readonly { readonly token_id: number; readonly logprob: number; readonly rank: number; readonly token: Buffer; readonly top: readonly { readonly logprob: number }[] }[]
  readonly finish_reason: string
  readonly stop_string?: string
  readonly usage: { readonly prompt_tokens: number; readonly cached_tokens: number; readonly completion_tokens: number } | null
  readonly timing: { readonly queue_ms: number; readonly tpot_ms?: number; readonly accepted_draft_tokens: number } | null
  readonly system_fingerprint: string
}

type Method = (...args: readonly unknown[]) => unknown

export function startGenerate(client: Client, request: object, metadata: Metadata, options: object = {}): ClientReadableStream<Generated> {
  const method = (client as unknown as Record<string, Method>)['Generate']
  return method?.call(client, request, metadata, options) as ClientReadableStream<Generated>
}

export interface Outcome {
  readonly messages: readonly Generated[]
  readonly status: StatusObject
  readonly headers: Metadata | null
}

/** Reads a stream to its end, whatever the status. */
export async function outcomeOf(stream: ClientReadableStream<Generated>): Promise<Outcome> {
  const messages: Generated[] = []
  let headers: Metadata | null = null
  stream.on('metadata', (metadata: Metadata) => (headers = metadata))
  stream.on('data', (message: Generated) => messages.push(message))
  // A failed call emits an error beside its status.
  stream.on('error', () => {})
  const status = await new Promise<StatusObject>((resolve) => stream.on('status', resolve))
  return { messages, status, headers }
}

/** A unary call as a promise. */
export function unary<T>(client: Client, name: string, request: object, metadata: Metadata): Promise<T> {
  return new Promise((resolve, reject) => {
    const method = (client as unknown as Record<string, Method>)[name]
    method?.call(client, request, metadata, (error: Error | null, answer: T) => (error === null ? resolve(answer) : reject(error)))
  })
}
