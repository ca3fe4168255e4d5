// A bus message as bytes: msgpack of [major, minor, from, payload]. The two versions are the second and third byte in every
// major, so that a foreign message is told by them and not decoded.
//
// Objects with the keys of `WIRE_STRUCTURES` are sent without their keys; any other object names its keys once per message.
import { Packr, Unpackr } from 'msgpackr'
import type { Address } from '@rubato/actor'
import { PROTOCOL_MAJOR, PROTOCOL_MINOR } from '../protocol.ts'
import { WIRE_STRUCTURES } from './wire-structures.ts'

export type Decoded =
  | { readonly kind: 'message'; readonly from: Address; readonly payload: unknown }
  | { readonly kind: 'foreign'; readonly from: Address; readonly major: number }
  | { readonly kind: 'undecodable'; readonly reason: string }

const FOUR_ELEMENTS = 0x94
/** Above it the codec's bytes mean records. */
const MAX_FIXINT = 0x3f

/** Own tables for each instance: the codec keeps what it learns in the array. */
function options(): ConstructorParameters<typeof Packr>[0] {
  const structures = WIRE_STRUCTURES.map((keys) => [...keys]) as unknown as object[]
  return { structures, maxSharedStructures: WIRE_STRUCTURES.length, maxOwnStructures: 64 - WIRE_STRUCTURES.length, moreTypes: true, copyBuffers: true, int64AsType: 'number' }
}

export class WireCodec {
  readonly #packr = new Packr(options())
  readonly #unpackr = new Unpackr(options())

  encode(from: Address, payload: unknown): Uint8Array {
    return this.#packr.pack([PROTOCOL_MAJOR, PROTOCOL_MINOR, from, payload])
  }

  /** Never throws. The payload shares no memory with `bytes`. */
  decode(bytes: Uint8Array): Decoded {
    // A Buffer would make every byte string in the payload a Buffer.
    const data = bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const major = data[1]
    if (data[0] === undefined || major === undefined || data[0] >>> 4 !== FOUR_ELEMENTS >>> 4 || major > MAX_FIXINT) return { kind: 'undecodable', reason: 'not a bus message' }
    if (major !== PROTOCOL_MAJOR) return { kind: 'foreign', from: senderOf(data), major }
    try {
      const [, , from, payload] = this.#unpackr.unpack(data) as readonly unknown[]
      if (typeof from !== 'string') return { kind: 'undecodable', reason: 'no sender' }
      return { kind: 'message', from, payload }
    } catch (error) {
      return { kind: 'undecodable', reason: error instanceof Error ? error.message : String(error) }
    }
  }
}

/** The sender of a foreign message, as far as it can be told: a short string in the fourth place. */
function senderOf(data: Uint8Array): Address {
  const tag = data[3] ?? 0
  const [start, length] = tag === 0xd9 ? [5, data[4] ?? 0] : tag >>> 5 === 5 ? [4, tag & 0x1f] : [0, 0]
  return Buffer.from(data.buffer, data.byteOffset + start, Math.min(length, data.byteLength - start)).toString('latin1')
}
