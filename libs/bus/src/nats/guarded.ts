// Calling foreign code from within the NATS client's callbacks.

/** What the call throws ends the process as any uncaught error does, and not the client's read loop. */
export function guarded(call: () => void): void {
  try {
    call()
  } catch (error) {
    setImmediate(() => { throw error })
  }
}
