// Whether a client that comes back asks for what it asked before.
import type { GenerateMessage } from '@rubato/instance'
import type { ClientRequest } from '../../client.ts'
import type { LiveRequest } from '../state/request.ts'

/** As two submissions to one router. Urgency and deadline may differ. */
export function isSameRequest(a: ClientRequest, b: ClientRequest): boolean {
  return a.n === b.n && a.echo === b.echo && a.cacheSalt === b.cacheSalt && isEqual(a.stop, b.stop) && isEqual(a.sampling, b.sampling) && isEqual(a.input, b.input)
}

/**
 * As an instance holds it for another router. Stop strings are the routers' own; a seed that the client did not give is the
 * holder's. A router of another minor may have sent parameters that this one does not know: they decide nothing here.
 */
export function isSameWork({ request, promptIds, sampling }: LiveRequest, held: GenerateMessage): boolean {
  if (sampling === null || held.emittedIds.length !== request.n || held.cacheSalt !== request.cacheSalt || !isEqual(held.promptIds, promptIds)) return false
  const heldSampling: Readonly<Record<string, unknown>> = { ...held.sampling }
  return Object.entries(sampling).every(([name, value]) => !Object.hasOwn(heldSampling, name) || (name === 'seed' && request.sampling.seed === null) || isEqual(heldSampling[name], value))
}

/** Deep equality of plain values. */
function isEqual(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return Object.is(a, b)
  if (Array.isArray(a) || Array.isArray(b)) return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, index) => isEqual(item, b[index]))
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && isEqual((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
}
