// What shipping a prompt's KV adds after its first token: Splitwise (ISCA'24) §4.2. Blocks are pulled as cells end, so that all
// but the last cell's travel while the next cell computes; the visible rest is what the link could not keep up with.
import { knownTokens } from '../selection/metrics.ts'
import type { DispatchInstance, DispatchRequest } from '../snapshot.ts'
import type { InstanceForecast } from './instance-forecast.ts'
import { lastCellTokens } from './prompt-time.ts'

/** Until pulls were measured: below what gRPC carries between two processes of one machine. */
const DEFAULT_PULL_BYTES_PER_SEC = 200e6
/** Reservation, offers and hand-off: a few control messages and one step of waiting for the installer. */
const HAND_OFF_MS = 3

function bytesPerSec({ pullBytesPerSec }: DispatchInstance): number {
  return Math.max(1, pullBytesPerSec ?? DEFAULT_PULL_BYTES_PER_SEC)
}

/** Blocks of the prompt that the receiver lacks, in bytes. */
function lackedBytes(request: DispatchRequest, { hitTokens, blockSize, blockBytes }: DispatchInstance): number {
  const promptTokens = knownTokens(request)
  const heldBlocks = Math.floor(Math.min(hitTokens, promptTokens) / blockSize)
  return (Math.ceil(promptTokens / blockSize) - heldBlocks) * blockBytes
}

/** Time of the prompt's whole transfer to this instance, with nothing to hide it. */
export function predictPullMs(request: DispatchRequest, receiver: DispatchInstance): number {
  return (1_000 * lackedBytes(request, receiver)) / bytesPerSec(receiver)
}

/** Milliseconds between the first token and readiness to decode on the other instance. */
export function predictTransferMs(request: DispatchRequest, prefill: InstanceForecast, receiver: DispatchInstance): number {
  const { blockSize, cellTokens, blockBytes } = prefill.instance
  const pullMs = predictPullMs(request, receiver)
  const lastBytes = Math.ceil(lastCellTokens(knownTokens(request), cellTokens) / blockSize) * blockBytes
  const lastMs = (1_000 * lastBytes) / bytesPerSec(receiver)
  return HAND_OFF_MS + Math.max(Math.min(pullMs, lastMs), pullMs - (prefill.promptMs - prefill.lastCellMs))
}
