// A request as another router needs it to go on with it.
import type { GenerateMessage } from '../messages.ts'
import type { InstanceRequest } from './request.ts'

/** The request as accepted, with the tokens and ends that its choices have by now. Aborted choices count as ended. */
export function currentMessage(request: InstanceRequest, nowMs: number): GenerateMessage {
  const { message, sequences, live, deadlineAtMs } = request
  const emittedIds = message.emittedIds.map((known, index) => sequences.find((sequence) => sequence.index === index)?.log.tokenIds.slice() ?? known)
  const finishedSequences = emittedIds.map((_, index) => index).filter((index) => !live.some((sequence) => sequence.index === index))
  return { ...message, emittedIds, finishedSequences, remainingMs: deadlineAtMs === null ? null : Math.max(0, deadlineAtMs - nowMs) }
}
