// The workload that shows generation stalls: a few requests decode all the time while long prompts keep arriving.
import type { ClientRequest, RouterPort } from '@rubato/service-router'
import type { RandomStream } from '@rubato/sim'

export interface StallWorkload {
  /** Requests that decode throughout. */
  readonly numStreams: number
  /** Tokens that each of them emits. */
  readonly streamTokens: number
  readonly numPrompts: number
  readonly promptTokens: number
  /** Tokens that each long prompt's own request emits. */
  readonly promptOutputTokens: number
  /** Long prompts start when this share of the streams' tokens has been emitted, and end by the share `until`. */
  readonly fromRatio: number
  readonly untilRatio: number
}

export interface StallResult {
  /** Gaps between tokens of the decoding streams while long prompts were in the system; milliseconds. */
  readonly itlMs: readonly number[]
  readonly promptTtftMs: readonly number[]
}

const SAMPLING: ClientRequest['sampling'] = {
  maxTokens: 1, minTokens: 0, temperature: 0, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1, logitBias: [],
  seed: 0, stopTokenIds: [], ignoreEos: true, logprobs: null,
}

function requestOf(requestId: string, tokenIds: readonly number[], maxTokens: number): ClientRequest {
  return {
    requestId, model: '', input: { kind: 'tokens', tokenIds }, sampling: { ...SAMPLING, maxTokens }, n: 1, stop: [], slo: { ttftMs: null, tpotMs: null }, priority: 0,
    cacheSalt: '', remainingMs: null, echo: false, resumeFrom: null, trace: null,
  }
}

/** Runs the workload once. `label` keeps request ids of different runs apart. Rejects when a request fails. */
export async function runStallWorkload(router: RouterPort, workload: StallWorkload, random: RandomStream, label: string): Promise<StallResult> {
  const itlMs: number[] = []
  const promptTtftMs: number[] = []
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const total = workload.numStreams * workload.streamTokens
  let emitted = 0
  let open = workload.numStreams + workload.numPrompts
  let sent = 0
  let livePrompts = 0
  const close = (): void => {
    if (--open === 0) resolve()
  }
  const prompt = (length: number): number[] => Array.from({ length }, () => 300 + random.int(600))

  const sendPrompt = (): void => {
    const startMs = performance.now()
    let isFirst = true
    livePrompts++
    router.submit(requestOf(`${label}-p${sent++}`, prompt(workload.promptTokens), workload.promptOutputTokens), (event) => {
      if (event.kind === 'delta' && isFirst) {
        isFirst = false
        livePrompts--
        promptTtftMs.push(performance.now() - startMs)
      } else if (event.kind === 'finished') close()
      else if (event.kind === 'failed') reject(new Error(event.error.message))
    })
  }
  const pace = (): void => {
    const { fromRatio, untilRatio, numPrompts } = workload
    const due = (emitted / total - fromRatio) / (untilRatio - fromRatio)
    while (sent < numPrompts && sent < due * numPrompts) sendPrompt()
  }
  for (let index = 0; index < workload.numStreams; index++) {
    let lastMs: number | null = null
    router.submit(requestOf(`${label}-s${index}`, prompt(16), workload.streamTokens), (event) => {
      if (event.kind === 'delta' && event.tokenIds.length > 0) {
        const nowMs = performance.now()
        if (lastMs !== null && sent > 0 && (livePrompts > 0 || sent < workload.numPrompts)) itlMs.push(nowMs - lastMs)
        lastMs = nowMs
        emitted += event.tokenIds.length
        pace()
      } else if (event.kind === 'finished') close()
      else if (event.kind === 'failed') reject(new Error(event.error.message))
    })
  }
  await promise
  return { itlMs, promptTtftMs }
}
