// Proof that an instance's books agree: design invariant "conservation".
import type { BlockPool } from '@rubato/kv'
import type { RunningSet } from './batch/running-set.ts'
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
}

/** Throws at the first contradiction. `released` are the slots of the step in flight. */
export function assertConservation({ config, pool, waiting, running, book }: Books, released: readonly EngineSlot[]): void {
  const slots = [...running.heldSlots(), ...released]
  pool.assertIntegrity(slots.map(({ table }) => table.blockIds))
  for (const { handle, table, kvTokens } of slots) check(kvTokens <= table.capacityTokens, `handle ${handle} has more KV than blocks`)
  check(running.numSequences <= config.limits.maxNumSeqs, `${running.numSequences} sequences run`)
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
}

/** Returns how many of the request's sequences the engine knows. */
function assertRequest(request: InstanceRequest, running: RunningSet): number {
  const { requestId } = request.message
  check(request.live.every((sequence) => request.sequences.includes(sequence)), `request ${requestId} generates a choice that it does not own`)
  const isAdmitted = request.state === 'prompt' || request.state === 'running'
  check(isAdmitted || request.state === 'waiting' || request.live.length === 0, `request ${requestId} is ${request.state} with live choices`)
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
