// Values as trace text: JSON, with buffers as their length and checksum.

function checksum(bytes: Uint8Array): string {
  let hash = 0x811c9dc5
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193)
  return (hash >>> 0).toString(16)
}

function replace(_key: string, value: unknown): unknown {
  if (!ArrayBuffer.isView(value)) return value
  return `${value.constructor.name}(${value.byteLength}, ${checksum(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))})`
}

/** Deterministic text of a message or outcome; `undefined` for what JSON cannot say. */
export function traceText(value: unknown): string {
  return JSON.stringify(value, replace) ?? 'undefined'
}
