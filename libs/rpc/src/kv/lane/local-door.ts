// Where a peer on the same machine may come in, as a welcome tells it: a socket in Linux's abstract name space, which exists in one
// network namespace only and under a name that nobody can guess, and the ticket to show there.

export interface LocalDoor {
  readonly path: string
  readonly ticket: Uint8Array
}

const TICKET_BYTES = 32
const PATH = /^\0rubato-kv-[0-9a-f]{32}$/

export function localPath(name: Buffer): string {
  return `\0rubato-kv-${name.toString('hex')}`
}

export function encodeLocalDoor({ path, ticket }: LocalDoor): Uint8Array {
  return Buffer.concat([ticket, Buffer.from(path)])
}

/** null: the bytes name no such door. */
export function decodeLocalDoor(bytes: Uint8Array): LocalDoor | null {
  const path = Buffer.from(bytes.subarray(TICKET_BYTES)).toString()
  return PATH.test(path) ? { path, ticket: Buffer.from(bytes.subarray(0, TICKET_BYTES)) } : null
}
