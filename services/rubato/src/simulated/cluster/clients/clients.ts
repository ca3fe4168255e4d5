// The clients of a simulated cluster: they hand requests to routers in turn, note when tokens come, and come back by request id
// when their router is gone.
//
//   waiting for a router ──> with a router ──finished, failed──> ended
//            ^                     │  └─cancel─> ended
//            └──── router gone ────┘
//
// 1. A client hears nothing more from a router that it left.
import { RubatoError } from '@rubato/config'
import type { EngineShape } from '@rubato/model'
import type { ClientDelivery, ClientEvent, ClientRequest } from '@rubato/service-router'
import type { SimWorld } from '@rubato/sim'
import type { SimClusterOptions } from '../options.ts'
import type { RouterProcess } from '../processes/router.ts'
import { LiveRecord } from './live-record.ts'
import type { SimRequestEnd, SimRequestRecord } from './record.ts'
import { checkAgainstReference, checkLightEnd, checkLightTokens } from './token-check.ts'

export interface ClientsOptions {
  readonly options: SimClusterOptions
  readonly nextNonce: () => number
  /** Routers that take requests now, in a stable order. */
  readonly routers: () => readonly RouterProcess[]
}

/** Until a client looks again for a router, and until it comes back after its own was lost. */
const NO_ROUTER_MS = 100
const COME_BACK_MS = 50

type Delta = Extract<ClientEvent, { kind: 'delta' }>

export class SimClients {
  readonly #world: SimWorld
  readonly #parts: ClientsOptions
  readonly #recording: NonNullable<SimClusterOptions['recording']>
  readonly #keepsGaps: boolean
  /** By the client id of their present stay with a router. */
  readonly #live = new Map<number, LiveRecord>()
  readonly #shapes: ReadonlyMap<string, EngineShape>
  readonly #vocabSize: number
  readonly #isLight: boolean
  #numOpen = 0
  #nextRouter = 0

  constructor(parts: ClientsOptions) {
    const { instances, engine, recording = {}, world } = parts.options
    this.#world = world
    this.#parts = parts
    this.#recording = recording
    this.#keepsGaps = recording.keepsGaps ?? true
    this.#shapes = new Map(instances.map(({ shape }) => [shape.modelFingerprint, shape]))
    this.#isLight = engine === 'light'
    this.#vocabSize = instances[0]!.shape.vocabSize
  }

  /** Requests that have not ended. */
  get numOpen(): number {
    return this.#numOpen
  }

  submit(request: ClientRequest): LiveRecord {
    if (request.input.kind !== 'tokens') throw new RubatoError('invalid_argument', `request ${request.requestId}: simulated requests bring token ids`)
    const record = new LiveRecord(request, {
      arrivedMs: this.#world.nowMs(), seed: request.sampling.seed ?? this.#parts.nextNonce(), keepsTokens: this.#recording.keepsTokens ?? false, vocabSize: this.#vocabSize,
    })
    this.#numOpen += 1
    this.#send(record, request)
    return record
  }

  /** No-op once it ended. */
  cancel(record: SimRequestRecord): void {
    if (!(record instanceof LiveRecord) || record.end !== null) return
    record.router?.tell({ kind: 'cancel', clientId: record.clientId })
    this.#end(record, 'cancelled')
  }

  /** The router is gone, or lost its place: its clients look for another. */
  routerGone(router: RouterProcess): void {
    for (const record of this.#live.values()) {
      if (record.router !== router) continue
      this.#live.delete(record.clientId)
      record.router = null
      record.resumes += 1
      this.#world.schedule(COME_BACK_MS, () => {
        const { request } = record
        if (record.end === null && request !== null) this.#send(record, { ...request, resumeFrom: record.choices.map(({ numTokens }) => numTokens) })
      })
    }
  }

  hear(deliveries: readonly ClientDelivery[]): void {
    for (const { clientId, event } of deliveries) {
      const record = this.#live.get(clientId)
      if (record === undefined) continue
      if (event.kind === 'delta') {
        if (event.tokenIds.length > 0) this.#take(record, event)
      } else if (event.kind === 'finished') {
        record.usage = event.usage
        record.timing = event.timing
        this.#end(record, 'finished')
      } else if (event.kind === 'failed') {
        record.error = `${event.error.reason}: ${event.error.message}`
        this.#end(record, 'failed')
      }
    }
  }

  #send(record: LiveRecord, request: ClientRequest): void {
    if (record.end !== null) return
    const router = this.#chooseRouter()
    if (router === undefined) {
      this.#world.schedule(NO_ROUTER_MS, () => this.#send(record, request))
      return
    }
    record.clientId = this.#parts.nextNonce()
    record.router = router
    this.#live.set(record.clientId, record)
    router.tell({ kind: 'submit', clientId: record.clientId, request, seedIfNone: record.seed })
  }

  /** In turn among those that say they are ready, as health checks in front of them would see to. */
  #chooseRouter(): RouterProcess | undefined {
    const routers = this.#parts.routers()
    for (let tries = 0; tries < routers.length; tries++) {
      const router = routers[this.#nextRouter++ % routers.length]
      if (router?.actor?.canServe() === true) return router
    }
    return undefined
  }

  #take(record: LiveRecord, { index, tokenIds }: Delta): void {
    const nowMs = this.#world.nowMs()
    const choice = record.choices[index]!
    const numTokens = tokenIds.length
    const gapMs = choice.numTokens === 0 ? null : nowMs - choice.lastTokenMs
    if (this.#keepsGaps) {
      if (gapMs !== null) record.addGap(gapMs, numTokens)
      else if (numTokens > 1) record.addGap(0, numTokens - 1)
    }
    choice.lastTokenMs = nowMs
    choice.numTokens += numTokens
    record.firstTokenMs ??= nowMs
    record.numTokens += numTokens
    if (record.tokenIds !== null) for (const tokenId of tokenIds) record.tokenIds[index]!.push(tokenId)
    if (this.#isLight) checkLightTokens(record, index, tokenIds, this.#vocabSize)
    this.#recording.onTokens?.(record, numTokens, gapMs)
  }

  #end(record: LiveRecord, end: SimRequestEnd): void {
    this.#live.delete(record.clientId)
    this.#numOpen -= 1
    record.end = end
    record.endedMs = this.#world.nowMs()
    record.router = null
    record.trimGaps()
    this.#check(record)
    if (record.tokenIds === null) record.request = null
    this.#recording.onEnd?.(record)
  }

  #check(record: LiveRecord): void {
    const { request } = record
    const shape = this.#shapes.get(request?.model ?? '') ?? this.#parts.options.instances[0]!.shape
    const isWhole = record.end === 'finished'
    if (this.#isLight) {
      if (isWhole) checkLightEnd(record, shape.maxModelLen)
    } else if (request !== null && request.stop.length === 0) checkAgainstReference(record, shape, isWhole)
  }
}
