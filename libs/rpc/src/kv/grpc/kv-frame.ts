// One frame of a KV transfer on the wire: a fixed header, then the payload. The bytes are a rubato.v1.KvFrame in protobuf
// with every field present and in order, so that they can be laid out and read without a protobuf runtime or a copy.
import { crc32 } from 'node:zlib'
import type { Epoch } from '../kv-transport.ts'

/** What a frame carries, and where it belongs. Each number is an unsigned 32-bit integer. */
export interface KvFrame {
  readonly transferId: number
  readonly epoch: Epoch
  /** Block of the transfer, from 0, that the payload starts in; it may reach into later ones. */
  readonly blockIndex: number
  /** Byte within that block. */
  readonly byteOffset: number
  readonly payload: Uint8Array
}

/** Why bytes are no frame. */
export interface BadFrame {
  readonly problem: string
}

const MAGIC = Buffer.from('RKV1').readUInt32LE()
const NUM_FIXED_FIELDS = 8
const CHECKSUM_AT = 5 * (NUM_FIXED_FIELDS - 1)
const PAYLOAD_TAG = (15 << 3) | 2
const LENGTH_AT = 5 * NUM_FIXED_FIELDS + 1

export const FRAME_HEADER_BYTES = LENGTH_AT + 4

/** Tag of field `number`, of wire type fixed32. */
function fixedTag(number: number): number {
  return (number << 3) | 5
}

function checksumOf(header: Uint8Array, payload: Uint8Array): number {
  return crc32(payload, crc32(header.subarray(0, CHECKSUM_AT)))
}

/** Header of the frame: FRAME_HEADER_BYTES to be sent before its payload. */
export function encodeHeader({ transferId, epoch, blockIndex, byteOffset, payload }: KvFrame): Buffer {
  const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES)
  const numBytes = payload.byteLength
  const fields = [MAGIC, transferId, epoch.recovery, epoch.hop, blockIndex, byteOffset, numBytes]
  for (let index = 0; index < fields.length; index++) {
    header.writeUInt8(fixedTag(index + 1), 5 * index)
    header.writeUInt32LE(fields[index]!, 5 * index + 1)
  }
  header.writeUInt8(fixedTag(NUM_FIXED_FIELDS), CHECKSUM_AT)
  header.writeUInt32LE(checksumOf(header, payload), CHECKSUM_AT + 1)
  header.writeUInt8(PAYLOAD_TAG, LENGTH_AT - 1)
  for (let index = 0; index < 4; index++) header[LENGTH_AT + index] = lengthByte(numBytes, index)
  return header
}

/** A byte of the payload's length as a varint that is always four bytes long. */
function lengthByte(numBytes: number, index: number): number {
  return ((numBytes >>> (7 * index)) & 0x7f) | (index < 3 ? 0x80 : 0)
}

/** Whether tags, magic and lengths are those of a frame; the checksum is not looked at. */
function layoutProblem(frame: Buffer): string | null {
  if (frame.byteLength < FRAME_HEADER_BYTES) return `has ${frame.byteLength} bytes`
  for (let number = 1; number <= NUM_FIXED_FIELDS; number++) {
    if (frame[5 * (number - 1)] !== fixedTag(number)) return `has no field ${number}`
  }
  if (frame.readUInt32LE(1) !== MAGIC) return 'is of another format or version'
  if (frame[LENGTH_AT - 1] !== PAYLOAD_TAG) return 'has no payload'
  const numBytes = frame.byteLength - FRAME_HEADER_BYTES
  let agrees = frame.readUInt32LE(31) === numBytes
  for (let index = 0; index < 4; index++) agrees &&= frame[LENGTH_AT + index] === lengthByte(numBytes, index)
  return agrees ? null : `says another length than its ${numBytes} bytes of payload`
}

/** The frame in these bytes, checksum verified; its payload is a view of them. */
export function decodeFrame(frame: Buffer): KvFrame | BadFrame {
  const problem = layoutProblem(frame)
  if (problem !== null) return { problem }
  const payload = frame.subarray(FRAME_HEADER_BYTES)
  if (frame.readUInt32LE(CHECKSUM_AT + 1) !== checksumOf(frame, payload)) return { problem: 'has a wrong checksum' }
  const epoch = { recovery: frame.readUInt32LE(11), hop: frame.readUInt32LE(16) }
  return { transferId: frame.readUInt32LE(6), epoch, blockIndex: frame.readUInt32LE(21), byteOffset: frame.readUInt32LE(26), payload }
}
