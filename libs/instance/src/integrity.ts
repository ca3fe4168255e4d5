// Proof that an instance's books agree: design invariant "conservation".
import type { BlockPool } from '@rubato/kv'
import type { RunningSet } from './batch/running-set.ts'
import type { HandOffDestination } from './hand-off/destination.ts'
import type { HandOffSource } from './hand-off/source.ts'
import type { InstanceConfig } from './instance-config.ts'
import type { EngineSlot } from './request/engine-slot.ts'
import type { InstanceRequest } from './request/request.ts'
import type { RequestBook } from './request/request-book.ts'
import type { WaitingQueue } from './request/waiting-queue.ts'

export interface Books {
  readonly config: InstanceConfig
  readonly pool: BlockPool
  readonly waiting: WaitingQueue
  readonly running: RunningSet
  readonly book: RequestBook
  readonly source: HandOffSource
  readonly destination: HandOffDestination
}

/**
 * Throws at the first contradiction: free + owned + cached + staged = total, where owned blocks are in tables of slots or pinned
 * for a hand-off, and staged ones in tables of reservations. `released` are the slots of the step in flight.
 */
export function assertConservation({ config, pool, waiting, running, book, source, destination }: Books, released: readonly EngineSlot[]): void {
  const slots = [...running.heldSlots(), ...released]
  pool.assertIntegrity([...slots.map(({ table }) => table.blockIds), ...source.pins(), ...destination.tables()])
  for (const { handle, table, kvTokens } of slots) check(kvTokens <= table.capacityTokens, `handle ${handle} has more KV than blocks`)
  check(running.numSequences + destination.numSequences <= config.limits.maxNumSeqs, `${running.numSequences} sequences run, ${destination.numSequences} are expected`)
  const queued = new Set(waiting)
  check(queued.size === waiting.size, 'a request waits twice')
  let numSequences = 0
  for (const request of book) {
    check(queued.has(request) === (request.state === 'waiting'), `request ${request.message.requestId} is ${request.state} and ${queued.has(request) ? '' : 'not '}queued`)
    numSequences += assertRequest(request, running)
    queued.delete(request)
  }
  check(queued.size === 0, 'a forgotten request still waits')
  check(numSequences === running.numSequences, `requests hold ${numSequences} sequences, ${running.numSequences} run`)
  source.assertIntegrity()
  destination.assertIntegrity()
}

/** Returns how many of the request's sequences the engine knows. */
function assertRequest(request: InstanceRequest, running: RunningSet): number {
  const { requestId } = request.message
  if (request.state === 'finished') {
    check(request.live.length === 0 && request.lead === null && request.sequences.every(({ slot }) => slot === null), `request ${requestId} ended but holds slots`)
    return 0
  }
  check(request.live.every((sequence) => request.sequences.includes(sequence)), `request ${requestId} generates a choice that it does not own`)
  const { isAdmitted } = request
  check(isAdmitted || request.state === 'waiting' || request.live.length === 0, `request ${requestId} is ${request.state} with live choices`)
  check(request.state !== 'handing' || request.handOff !== null, `request ${requestId} is handed to nobody`)
  const holders = new Set(request.lead === null ? request.live : [...request.live, request.lead])
  for (const sequence of holders) {
    check(sequence.slot !== null, `choice ${sequence.index} of ${requestId} has no slot`)
    check((running.sequenceOf(sequence.slot!.handle) === sequence) === isAdmitted, `choice ${sequence.index} of ${requestId} is not where its state says`)
    check(sequence.slot!.kvTokens <= sequence.settledKvTokens, `choice ${sequence.index} of ${requestId} has KV ahead of its tokens`)
  }
  for (const sequence of request.sequences) check(sequence.slot === null || holders.has(sequence), `an ended choice of ${requestId} holds a slot`)
  return isAdmitted ? holders.size : 0
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`instance: ${what}`)
}
