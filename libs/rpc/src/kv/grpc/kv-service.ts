// The KvTransfer service as both ends of a link use it: requests in protobuf, frames as bytes that pass through untouched.
import type { MethodDefinition } from '@grpc/grpc-js'
import type { PullRequest, PullRequest__Output } from '../../gen/rubato/v1/PullRequest.ts'
import { loadKvTransferPackage } from '../../protos.ts'
import { FRAME_HEADER_BYTES, encodeHeader } from './kv-frame.ts'
import type { KvFrame } from './kv-frame.ts'

export const KV_SERVICE_NAME = 'rubato.v1.KvTransfer'

/**
 * A frame on its way out. grpc-js asks a serialized message for its length and has it copied behind its own prefix: header
 * and payload go there one after the other, which spares a copy of the payload.
 */
export class OutgoingFrame {
  readonly byteLength: number
  readonly #header: Buffer
  readonly #payload: Uint8Array

  constructor(frame: KvFrame) {
    this.#header = encodeHeader(frame)
    this.#payload = frame.payload
    this.byteLength = FRAME_HEADER_BYTES + frame.payload.byteLength
  }

  copy(target: Uint8Array, at: number): number {
    target.set(this.#header, at)
    target.set(this.#payload, at + FRAME_HEADER_BYTES)
    return this.byteLength
  }
}

const { requestSerialize, requestDeserialize, path } = loadKvTransferPackage().rubato.v1.KvTransfer.service.Pull

export const PULL_METHOD: MethodDefinition<PullRequest, OutgoingFrame> & { readonly requestDeserialize: (bytes: Buffer) => PullRequest__Output } = {
  path,
  requestStream: false,
  responseStream: true,
  requestSerialize,
  requestDeserialize,
  responseSerialize: (frame) => frame as unknown as Buffer,
  responseDeserialize: () => {
    throw new Error('frames are read as bytes')
  },
}

/** The request in these bytes. Throws when they are none. */
export function decodePullRequest(bytes: Uint8Array): PullRequest__Output {
  return requestDeserialize(Buffer.from(bytes)) as PullRequest__Output
}

/** Frames as they came: grpc-js hands over a view of its own buffer. */
export function frameBytes(message: Buffer): Buffer {
  return message
}
