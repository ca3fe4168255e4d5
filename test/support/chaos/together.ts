// Work that stands and falls together: when a part fails the others are told to stop, and none outlives the rest.

type Work<T> = (signal: AbortSignal) => Promise<T>

/**
 * Runs all at once. The first to reject aborts the others' signal, as the given signal does. Settles when all have ended: with what
 * they resolved with, in order, or with the first error. Work has to end soon after its signal aborts.
 */
export async function together<T extends readonly unknown[]>(signal: AbortSignal, ...work: { readonly [K in keyof T]: Work<T[K]> }): Promise<T> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const running = work.map(async (run: Work<unknown>) => {
    try {
      return await run(either)
    } catch (error) {
      // Only the first counts: it is what the others reject with, if they do.
      failed.abort(error)
      throw error
    }
  })
  await Promise.allSettled(running)
  either.throwIfAborted()
  return (await Promise.all(running)) as unknown as T
}

/** Rejects as soon as the signal aborts; what the promise comes to after that is nobody's. */
export async function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const leave = (): void => reject(signal.reason as Error)
  signal.addEventListener('abort', leave, { once: true })
  if (signal.aborted) leave()
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', leave)
  }
}
