// Clusters in virtual time at test size: small blocks, checked engines, links on which transfers take their time, and random
// requests whose tokens are known beforehand.
import assert from 'node:assert/strict'
import type { InstanceRole } from '@rubato/instance'
import type { EngineShape } from '@rubato/model'
import { dispatchPolicy, predictStepMs } from '@rubato/policy'
import type { DispatchPolicy, StepCostModel } from '@rubato/policy'
import type { ClientRequest } from '@rubato/service-router'
import { SimCluster } from '@rubato/service-rubato/simulated'
import type { SimClusterOptions, SimInstanceSpec, SimRequestRecord } from '@rubato/service-rubato/simulated'
import { SimWorld } from '@rubato/sim'
import { SMALL_SHAPE } from '@rubato/testing'
import type { SeededRandom } from '@rubato/testing'

const COST: StepCostModel = {
  decode: { fixedMs: 2, perSequenceMs: 0.3, perNodeMs: 0.3, perContextTokenMs: 0.001 },
  cell: { fixedMs: 1, perTokenMs: 0.5, perPairMs: 0 },
  correctionRatio: 1,
}
/** Blocks run short: preemptions and evictions are part of every run. */
export const VIRTUAL_SHAPE: EngineShape = { ...SMALL_SHAPE, numBlocks: 96 }

export interface VirtualOptions {
  readonly seed: number
  readonly numRouters?: number
  readonly roles: readonly InstanceRole[]
  readonly dispatch?: DispatchPolicy
  readonly maxMigrations?: number
  readonly numMigrators?: number
  readonly deathOf?: SimClusterOptions['deathOf']
  readonly onTrace?: (line: string) => void
}

function spec(role: InstanceRole, index: number): SimInstanceSpec {
  return {
    name: `${role}${index + 1}`, role, shape: VIRTUAL_SHAPE, timer: { stepMs: (work) => predictStepMs(COST, work) }, costModel: COST,
    limits: { maxNumSeqs: 24, maxNumBatchedTokens: 64 }, batching: 'sarathi', link: { bytesPerSec: 50e6, latencyMs: 0.3 }, jitterRatio: 0.3,
  }
}

/** Every instance proves before every message that its blocks add up; records keep their tokens. */
export function virtualCluster({ seed, numRouters = 1, roles, dispatch, maxMigrations = 1, numMigrators = 0, deathOf, onTrace }: VirtualOptions): SimCluster {
  const world = new SimWorld({ seed, ...(onTrace === undefined ? {} : { onTrace }) })
  const cluster = new SimCluster({
    world, numRouters, numMigrators, maxMigrations, instances: roles.map(spec), dispatch: dispatch ?? dispatchPolicy('slo', { placement: 'auto' }),
    migration: numMigrators > 0 ? 'llumnix' : 'off', engine: 'checked', checkEveryEvent: true,
    admission: { maxConcurrentRequests: 64 }, recording: { keepsTokens: true }, ...(deathOf === undefined ? {} : { deathOf }),
  })
  cluster.runUntilReady()
  return cluster
}

/** Prompts that share beginnings, some choices, stop ids and stop strings; `hasLimits`: some with a deadline or a TPOT target. */
export function drawRequest(random: SeededRandom, index: number, { hasLimits }: { readonly hasLimits: boolean }): ClientRequest {
  const shared = random.int(4)
  const prompt = Array.from({ length: 1 + random.int(100) }, (_, place) => (place < 24 ? 100 + shared : 200 + random.int(700)))
  return {
    requestId: `q${index}`, model: '', input: { kind: 'tokens', tokenIds: prompt },
    sampling: {
      maxTokens: 1 + random.int(60), minTokens: 0, temperature: 1, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1,
      logitBias: [], seed: random.int(1e9), stopTokenIds: random.next() < 0.2 ? [random.int(VIRTUAL_SHAPE.vocabSize)] : [], ignoreEos: random.next() < 0.7, logprobs: null,
    },
    n: random.next() < 0.2 ? 2 + random.int(2) : 1, stop: random.next() < 0.2 ? [` ${random.int(90)}`] : [],
    slo: { ttftMs: null, tpotMs: hasLimits && random.next() < 0.5 ? 20 : null }, priority: random.int(3), cacheSalt: random.next() < 0.2 ? 'salt' : '',
    remainingMs: hasLimits && random.next() < 0.05 ? 50 + random.int(500) : null, echo: false, resumeFrom: null, trace: null,
  }
}

/** Whatever happened to it: every token once, in order, and all of them where it finished and no stop string could cut it. */
export function checkRecord(record: SimRequestRecord, label: string): void {
  assert.notEqual(record.end, null, `${label}: ${record.requestId} never ended`)
  assert.equal(record.numLostTokens, 0, `${label}: ${record.requestId} lost tokens`)
  assert.equal(record.numDuplicatedTokens, 0, `${label}: ${record.requestId} was given tokens again`)
}
