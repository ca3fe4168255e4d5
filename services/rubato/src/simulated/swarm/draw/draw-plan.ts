// Draws a plan from a seed.
import type { InstanceRole } from '@rubato/instance'
import { BATCHING_POLICY_NAMES, DISPATCH_POLICY_NAMES, PLACEMENT_NAMES } from '@rubato/policy'
import { randomStream } from '@rubato/sim'
import type { RandomStream } from '@rubato/sim'
import { FAULT_KINDS } from '../faults/fault.ts'
import type { FaultWish } from '../faults/fault.ts'
import { drawRequests } from './draw-requests.ts'
import { pick } from './pick.ts'
import type { PlannedFleet, PlannedInstance, SwarmPlan } from './plan.ts'

const ROLES: readonly InstanceRole[] = ['prefill', 'decode', 'mixed']
const SPECULATION = ['auto', 'ngram', 'static:2', 'smartspec', 'adaserve'] as const
const MIN_FAULTS = 4
const MAX_EXTRA_FAULTS = 5

/** `attempt` counts from 0: another plan of the same seed. */
export function drawPlan(seed: number, attempt = 0): SwarmPlan {
  const random = (of: string): RandomStream => randomStream(seed, `swarm ${of} ${attempt}`)
  const requests = drawRequests(random('requests'))
  return { seed, fleet: drawFleet(random('fleet')), requests, wishes: drawWishes(random('wishes'), requests.at(-1)!.arrivalMs) }
}

function drawFleet(random: RandomStream): PlannedFleet {
  const numInstances = 1 + random.int(5)
  return {
    numRouters: 1 + random.int(3),
    numMigrators: random.int(3),
    instances: Array.from({ length: numInstances }, (_, index) => drawInstance(random, index)),
    dispatch: pick(random, DISPATCH_POLICY_NAMES),
    placement: pick(random, PLACEMENT_NAMES),
    maxMigrations: 1 + random.int(3),
    maxConcurrentRequests: 24 + random.int(40),
    migrationLimit: 2 + random.int(2),
    enablePrefixCache: random.next() < 0.8,
  }
}

function drawInstance(random: RandomStream, index: number): PlannedInstance {
  const speculation = random.next() < 0.4 ? pick(random, SPECULATION) : null
  return {
    name: `i${index + 1}`,
    role: pick(random, ROLES),
    // At least one sequence of the model's length fits.
    numBlocks: 64 + random.int(24),
    maxNumSeqs: 8 + random.int(12),
    maxNumBatchedTokens: 32 + random.int(48),
    batching: random.next() < 0.7 ? 'sarathi' : pick(random, BATCHING_POLICY_NAMES),
    speculation,
    draftRatio: speculation !== null && random.next() < 0.7 ? 0.3 + 0.6 * random.next() : null,
    slowness: 0.7 + random.next(),
    kvBytesPerSec: 10 ** (5 + 2 * random.next()),
  }
}

function drawWishes(random: RandomStream, lastArrivalMs: number): readonly FaultWish[] {
  const count = MIN_FAULTS + random.int(MAX_EXTRA_FAULTS)
  return Array.from({ length: count }, () => ({ atMs: Math.round(random.next() * lastArrivalMs), kind: pick(random, FAULT_KINDS) })).sort((a, b) => a.atMs - b.atMs)
}
