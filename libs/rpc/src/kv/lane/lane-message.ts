// Messages of a lane: a connection that carries KV frames without gRPC. Little-endian; a header of fixed size, then a payload.
//
//   receiver                              sender
//     | -- RKL1, hello ------------------> |  which protocol this is, before TLS; then, inside, a ticket or nothing
//     | <------------------------ welcome |  where the sender can be reached on this machine, for the like
//     | -- open (token, key, terms) -----> |  uses the token up; `key` names the transfer from then on
//     | -- want (key, range, encoding) --> |  on any lane, as many as may be under way
//     | <------------ frame (range, bytes) |
//     | <---------------- refused / broken |  instead of frames
//     | -- end (key, done) --------------> |  the source may let go of the blocks; without done: the receiver gave up
//     | <------------------------------ end |  it has heard it
//
// 1. A lane opens a transfer before it wants anything of it. Opening it again, under its key, joins it: lanes keep no order among
//    each other, and any of them may be lost.
// 2. Every header is summed up, so that a lane never goes on behind one that is wrong. Payloads carry a sum of their own where
//    nothing below checks them: over plain TCP.
import { crc32 } from 'node:zlib'
import type { KvEncoding } from '@rubato/policy'

/** First bytes of every connection, in the clear: what tells lanes from gRPC. Another major version has another last digit. */
export const LANE_PREAMBLE: Uint8Array = Buffer.from('RKL1')

const KINDS = ['hello', 'welcome', 'open', 'want', 'end', 'echo', 'frame', 'refused', 'broken'] as const
export type LaneMessageKind = (typeof KINDS)[number]

const ENCODINGS: readonly KvEncoding[] = ['raw', 'lossless']

/** What names a transfer to its sender once it was opened: 16 random bytes, as good as a token. */
export const KEY_BYTES = 16
export const LANE_HEADER_BYTES = 56
const NO_KEY = new Uint8Array(KEY_BYTES)

/** Fields that a kind has no use for are 0. */
export interface LaneHeader {
  readonly kind: LaneMessageKind
  /** Chosen by the receiver; of an echo, what comes back. */
  readonly transferId: number
  readonly key: Uint8Array
  /** Bytes behind the header. */
  readonly payloadBytes: number
  /** Sum of the payload; 0: it has none. */
  readonly checksum: number
  /** Range of the transfer's bytes. */
  readonly firstByte: number
  readonly numBytes: number
  readonly encoding: KvEncoding
  /** An end that is whole; a refusal of a token that opens something else. */
  readonly flag: boolean
  /** What encoding a frame took, microseconds. */
  readonly encodeMicros: number
}

/** Header of a message. */
export function encodeLaneHeader(kind: LaneMessageKind, transferId: number, fields: Partial<LaneHeader> = {}): Buffer {
  const { key = NO_KEY, payloadBytes = 0, checksum = 0, firstByte = 0, numBytes = 0, encoding = 'raw', flag = false, encodeMicros = 0 } = fields
  const header = Buffer.alloc(LANE_HEADER_BYTES)
  header.set(LANE_PREAMBLE)
  header[4] = KINDS.indexOf(kind)
  header[5] = ENCODINGS.indexOf(encoding)
  header[6] = flag ? 1 : 0
  header.writeUInt32LE(transferId, 8)
  header.writeUInt32LE(payloadBytes, 12)
  header.writeUIntLE(firstByte, 16, 6)
  header.writeUInt32LE(numBytes, 24)
  header.writeUInt32LE(Math.min(0xffffffff, encodeMicros), 28)
  header.writeUInt32LE(checksum, 32)
  header.set(key, 36)
  header.writeUInt32LE(crc32(header.subarray(0, LANE_HEADER_BYTES - 4)), LANE_HEADER_BYTES - 4)
  return header
}

/** The header in these LANE_HEADER_BYTES; null: they are none. */
export function decodeLaneHeader(bytes: Buffer): LaneHeader | null {
  if (bytes.readUInt32LE(LANE_HEADER_BYTES - 4) !== crc32(bytes.subarray(0, LANE_HEADER_BYTES - 4))) return null
  const [kind, encoding] = [KINDS[bytes[4]!], ENCODINGS[bytes[5]!]]
  if (!bytes.subarray(0, 4).equals(LANE_PREAMBLE) || kind === undefined || encoding === undefined) return null
  return {
    kind,
    encoding,
    flag: bytes[6] === 1,
    transferId: bytes.readUInt32LE(8),
    payloadBytes: bytes.readUInt32LE(12),
    firstByte: bytes.readUIntLE(16, 6),
    numBytes: bytes.readUInt32LE(24),
    encodeMicros: bytes.readUInt32LE(28),
    checksum: bytes.readUInt32LE(32),
    key: Buffer.from(bytes.subarray(36, 36 + KEY_BYTES)),
  }
}
