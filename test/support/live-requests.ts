// Requests of an embedded cluster, submitted past its doors, and a hand that moves them from instance to instance.
import type { EmbeddedCluster } from '@rubato/service-rubato'
import type { ClientRequest, RequestTiming } from '@rubato/service-router'

export interface LiveAnswer {
  /** Per choice. */
  readonly tokenIds: readonly (readonly number[])[]
  /** When each delta of the first choice came; milliseconds. */
  readonly arrivedMs: readonly number[]
  readonly timing: RequestTiming
}

export interface LiveRequest {
  readonly requestId: string
  readonly promptIds: readonly number[]
  readonly maxTokens: number
  readonly n: number
  readonly temperature: number
  readonly seed: number
}

/** Resolves with everything that came. `onTokens` hears the number of tokens of the first choice so far. */
export function generate(cluster: EmbeddedCluster, request: LiveRequest, onTokens: (numTokens: number) => void = () => {}): Promise<LiveAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<LiveAnswer>()
  const tokenIds: number[][] = Array.from({ length: request.n }, () => [])
  const arrivedMs: number[] = []
  cluster.router.submit(clientRequest(request), (event) => {
    if (event.kind === 'failed') reject(new Error(`${request.requestId}: ${event.error.reason}: ${event.error.message}`))
    else if (event.kind === 'finished') resolve({ tokenIds, arrivedMs, timing: event.timing })
    else if (event.kind === 'delta') {
      tokenIds[event.index]!.push(...event.tokenIds)
      if (event.index !== 0) return
      arrivedMs.push(performance.now())
      onTokens(tokenIds[0]!.length)
    }
  })
  return promise
}

/** Tells the instance that serves the request to move it to the other of the two. */
export function mover(cluster: EmbeddedCluster): (requestId: string) => void {
  const hand = cluster.shell.spawn({ address: 'migrator/hand', factory: () => ({ actor: { start: () => [], receive: () => [] }, effects: {} }) })
  return (requestId) => {
    const owner = cluster.routerActor.ownerOf(requestId)
    const instances = cluster.routerActor.instances()
    const from = instances.find(({ instanceId }) => instanceId === owner)
    const to = instances.find(({ instanceId }) => instanceId !== owner)
    if (from === undefined || to === undefined) return
    hand.send(from.address, { kind: 'migrate', requestId, to: { instanceId: to.instanceId, address: to.address }, forMs: 0 })
  }
}

function clientRequest({ requestId, promptIds, maxTokens, n, temperature, seed }: LiveRequest): ClientRequest {
  return {
    requestId, model: '', input: { kind: 'tokens', tokenIds: promptIds },
    sampling: {
      maxTokens, minTokens: 0, temperature, topP: 1, topK: 0, minP: 0, presencePenalty: 0.3, frequencyPenalty: 0, repetitionPenalty: 1,
      logitBias: [], seed, stopTokenIds: [], ignoreEos: true, logprobs: null,
    },
    n, stop: [], slo: { ttftMs: null, tpotMs: null }, priority: 0, cacheSalt: '', remainingMs: null, echo: false, resumeFrom: null, trace: null,
  }
}
