// Cuts a lane's bytes into messages. It says where the next bytes belong, so that a socket can read them right there.
import { LANE_HEADER_BYTES, decodeLaneHeader } from './lane-message.ts'
import type { LaneHeader } from './lane-message.ts'

export interface LaneListener {
  /** Where the message's payload goes: as many bytes as it has. Throws when the message is none that may come. */
  readonly placeFor: (header: LaneHeader) => Uint8Array
  /** A whole message. */
  readonly onMessage: (header: LaneHeader, payload: Uint8Array) => void
}

const NOTHING = new Uint8Array(0)

export class LaneReader {
  readonly #listener: LaneListener
  readonly #headerBytes = Buffer.alloc(LANE_HEADER_BYTES)
  #header: LaneHeader | null = null
  #place: Uint8Array = this.#headerBytes
  #numRead = 0

  constructor(listener: LaneListener) {
    this.#listener = listener
  }

  /** Where the next bytes go; never empty. */
  get space(): Uint8Array {
    return this.#place.subarray(this.#numRead)
  }

  /** That many bytes were written into `space`. Throws when they cannot be a message; nothing may follow then. */
  advance(numBytes: number): void {
    this.#numRead += numBytes
    if (this.#numRead < this.#place.byteLength) return
    if (this.#header === null) this.#beginMessage()
    else this.#endMessage(this.#header)
  }

  /** Copies bytes in; throws as advance does. */
  feed(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength; ) {
      const { space } = this
      const numBytes = Math.min(space.byteLength, bytes.byteLength - at)
      space.set(bytes.subarray(at, at + numBytes))
      this.advance(numBytes)
      at += numBytes
    }
  }

  #beginMessage(): void {
    const header = decodeLaneHeader(this.#headerBytes)
    if (header === null) throw new Error('what came is no message of a lane')
    this.#numRead = 0
    if (header.payloadBytes === 0) return this.#endMessage(header, NOTHING)
    this.#place = this.#listener.placeFor(header)
    this.#header = header
    if (this.#place.byteLength !== header.payloadBytes) throw new Error(`no place for ${header.payloadBytes} bytes`)
  }

  #endMessage(header: LaneHeader, payload: Uint8Array = this.#place): void {
    this.#header = null
    this.#place = this.#headerBytes
    this.#numRead = 0
    this.#listener.onMessage(header, payload)
  }
}
