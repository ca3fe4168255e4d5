// Constants of the published Splitwise simulator: its models, its machines, its link.

export interface SplitwiseModel {
  /** Two numbers of 16 bits per layer and hidden dimension: grouped KV heads are not accounted for. */
  readonly kvBytesPerToken: number
  readonly weightsBytes: number
}

const BYTES_PER_NUMBER = 2
const GIB = 2 ** 30

function model(numLayers: number, hiddenSize: number, weightsBytes: number): SplitwiseModel {
  return { kvBytesPerToken: 2 * numLayers * hiddenSize * BYTES_PER_NUMBER, weightsBytes }
}

export const SPLITWISE_MODELS = {
  'bloom-176b': model(70, 14_336, 329e9),
  'llama2-70b': model(80, 8_192, 135e9),
} as const satisfies Readonly<Record<string, SplitwiseModel>>

/** Eight devices of 80 GiB, A100 and H100 alike. */
export const DGX_MEMORY_BYTES = 8 * 80 * GIB

/** Between any two machines, for every transfer by itself: transfers do not share it. */
export const KV_LINK_BYTES_PER_SEC = 200 * GIB
/** A transfer that its receiver has no memory for is tried again after so long. */
export const TRANSFER_RETRY_MS = 1000

export const MAX_BATCH = 512
export const MAX_BATCH_TOKENS = 2048
/** A task that was passed over so often goes first. */
export const MAX_SKIPS = 4
/** Prompt tokens that a prompt machine with a queue may have pending. */
export const MAX_PENDING_PROMPT_TOKENS = 8192
