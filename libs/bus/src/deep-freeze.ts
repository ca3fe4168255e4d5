// Makes a breach of "payloads are values" throw in tests.

/** Freezes plain objects and arrays throughout, in place; buffers and typed arrays cannot be frozen and are left. */
export function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return
  Object.freeze(value)
  for (const inner of Object.values(value)) deepFreeze(inner)
}
