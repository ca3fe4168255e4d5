// What KV transfers are compared with: the same bytes in messages of the same size over the same kind of stream, made
// without checksums, copied by nobody but gRPC, and thrown away where they arrive.
import { Client, Metadata, credentials } from '@grpc/grpc-js'
import type { MethodDefinition, ServerWritableStream, ServiceError, UntypedServiceImplementation } from '@grpc/grpc-js'
import type { GrpcService } from '@rubato/rpc'

export interface PlainRequest {
  readonly numBytes: number
  readonly messageBytes: number
}

const PATH = '/rubato.bench.Plain/Pull'
const REQUEST_BYTES = 16

function encode({ numBytes, messageBytes }: PlainRequest): Buffer {
  const bytes = Buffer.alloc(REQUEST_BYTES)
  bytes.writeDoubleLE(numBytes, 0)
  bytes.writeDoubleLE(messageBytes, 8)
  return bytes
}

const METHOD: MethodDefinition<PlainRequest, Buffer> = {
  path: PATH,
  requestStream: false,
  responseStream: true,
  requestSerialize: encode,
  requestDeserialize: (bytes) => ({ numBytes: bytes.readDoubleLE(0), messageBytes: bytes.readDoubleLE(8) }),
  responseSerialize: (bytes) => bytes,
  responseDeserialize: (bytes) => bytes,
}

/** Sends the first bytes of `source`, one message after the other is off. */
export function plainService(source: Buffer): GrpcService {
  const pull = (call: ServerWritableStream<PlainRequest, Buffer>): void => {
    const { numBytes, messageBytes } = call.request
    let at = 0
    const next = (): void => {
      if (at >= numBytes) return void call.end()
      const end = Math.min(numBytes, at + messageBytes)
      call.write(source.subarray(at, end), next)
      at = end
    }
    next()
  }
  return { name: 'rubato.bench.Plain', definition: { Pull: METHOD }, handlers: { Pull: pull } as unknown as UntypedServiceImplementation }
}

export class PlainClient {
  readonly #client: Client

  /** With the windows that KV channels have. */
  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure(), { 'grpc-node.flow_control_window': 1 << 20, 'grpc.max_receive_message_length': 2 << 20, 'grpc.use_local_subchannel_pool': 1 })
  }

  /** Milliseconds until the last byte was there. */
  pull(request: PlainRequest): Promise<number> {
    const startedMs = performance.now()
    let numReceived = 0
    const call = this.#client.makeServerStreamRequest(METHOD.path, METHOD.requestSerialize, METHOD.responseDeserialize, request, new Metadata())
    call.on('data', (message: Buffer) => (numReceived += message.byteLength))
    return new Promise((resolve, reject) => {
      call.on('error', (error: ServiceError) => reject(error))
      call.on('end', () => (numReceived === request.numBytes ? resolve(performance.now() - startedMs) : reject(new Error(`${numReceived} of ${request.numBytes} bytes came`))))
    })
  }

  close(): void {
    this.#client.close()
  }
}
