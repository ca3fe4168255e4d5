// Which live request moves: low priority first, then the cheapest to move, which is the shortest (Llumnix OSDI'24 §4.4.3).
import type { InstanceRequest } from '../request/request.ts'

/** One with fewer tokens than this to go ends about as soon as it has moved. */
const MIN_TOKENS_LEFT = 4

/** Whether the request decodes here in all its choices, with its KV complete, and is on no other way. */
export function isMovable(request: InstanceRequest): boolean {
  const { state, handOff, isOrphan, live } = request
  if (state !== 'running' || handOff !== null || isOrphan) return false
  return live.every((sequence) => {
    const { slot } = sequence
    return sequence.state === 'decoding' && slot !== null && slot.isAdmitted && sequence.log.length > 0 && slot.kvTokens === sequence.settledKvTokens
  })
}

/** null: nothing here is worth moving. */
export function chooseRequest(requests: Iterable<InstanceRequest>): InstanceRequest | null {
  let best: InstanceRequest | null = null
  for (const request of requests) {
    if (!isMovable(request) || !hasFarToGo(request)) continue
    if (best === null || goesBefore(request, best)) best = request
  }
  return best
}

function goesBefore(a: InstanceRequest, b: InstanceRequest): boolean {
  return a.message.priority - b.message.priority > 0 || (a.message.priority === b.message.priority && contextTokens(a) < contextTokens(b))
}

function hasFarToGo({ live, message }: InstanceRequest): boolean {
  return live.some(({ log }) => message.sampling.maxTokens - log.length >= MIN_TOKENS_LEFT)
}

function contextTokens({ live }: InstanceRequest): number {
  return live.reduce((sum, { slot }) => sum + (slot?.kvTokens ?? 0), 0)
}
