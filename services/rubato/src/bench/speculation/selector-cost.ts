// What choosing nodes costs: CPU of one choice over many sequences with full trees, in steps like those of a busy instance.
import process from 'node:process'
import { SpeculationController, selectNodes, speculationPolicy } from '@rubato/policy'
import type { CandidateTree, SpeculatingSequence, StepCostModel } from '@rubato/policy'
import type { RandomStream } from '@rubato/sim'
import { rounded } from '../engine/engine-report.ts'
import { percentile } from '../statistics.ts'

const NUM_SEQUENCES = 128
const NUM_NODES = 25
const WARM_UP_CHOICES = 400
const CHOICES = 2000
/** Tokens that one step may verify: fewer than there are candidates. */
const BUDGET_TOKENS = 1024
/** An accelerator: so flat that large trees pay at this load. */
const COST_MODEL: StepCostModel = {
  decode: { fixedMs: 20, perSequenceMs: 0.06, perNodeMs: 0.01, perContextTokenMs: 0 },
  cell: { fixedMs: 20, perTokenMs: 0.06, perPairMs: 0 },
  correctionRatio: 1,
}

export interface ChoiceCost {
  readonly choice: string
  readonly p50_ms: number
  readonly p99_ms: number
}

function drawTree(random: RandomStream): CandidateTree {
  const parents = Array.from({ length: NUM_NODES }, (_, node) => random.int(node + 1) - 1)
  const pathProbability: number[] = []
  for (let node = 0, probability = 1; node < NUM_NODES; node += 1) pathProbability.push((probability *= random.between(0.8, 1)))
  return { tokenIds: parents.map((_, node) => node), parents, pathProbability: Float64Array.from(pathProbability), ranks: parents.map(() => 0), gaps: parents.map(() => 1) }
}

/** Every third sequence has a target, and is about to miss it. */
function drawSequences(random: RandomStream): SpeculatingSequence[] {
  return Array.from({ length: NUM_SEQUENCES }, (_, place) => ({
    contextTokens: random.int(2000), acceptanceClass: place % 3, tpotMs: place % 3 === 0 ? 25 : null, elapsedMs: 1000, emittedTokens: 38 + random.int(4), remainingTokens: 100, tree: drawTree(random),
  }))
}

function measure(choice: string, choose: () => unknown): ChoiceCost {
  const times: number[] = []
  for (let count = -WARM_UP_CHOICES; count < CHOICES; count += 1) {
    // The process-wide call brings the thread's own count up to date.
    process.cpuUsage()
    const { user, system } = process.threadCpuUsage()
    choose()
    process.cpuUsage()
    const end = process.threadCpuUsage()
    if (count >= 0) times.push((end.user + end.system - user - system) / 1000)
  }
  times.sort((a, b) => a - b)
  return { choice, p50_ms: rounded(percentile(times, 50)!), p99_ms: rounded(percentile(times, 99)!) }
}

export function measureSelector(random: RandomStream): ChoiceCost[] {
  const sequences = drawSequences(random)
  const demands = sequences.map(({ tpotMs, tree }) => ({ needTokens: tpotMs === null ? 0 : 2.5, pathProbability: tree!.pathProbability, numCandidates: NUM_NODES, maxNodes: NUM_NODES }))
  const untargeted = sequences.map((sequence) => ({ ...sequence, tpotMs: null }))
  const verify = (controller: SpeculationController, of: readonly SpeculatingSequence[]): unknown => controller.verify({ sequences: of, cells: [], budgetTokens: BUDGET_TOKENS }, COST_MODEL)
  const controllers = [new SpeculationController(speculationPolicy('auto')), new SpeculationController(speculationPolicy('auto'))] as const
  const snapshot = { sequences: untargeted, cells: [], budgetTokens: BUDGET_TOKENS }
  return [
    measure('selector', () => selectNodes(demands, { budgetTokens: BUDGET_TOKENS, minProbability: 0.01 })),
    measure('auto, no targets', () => verify(controllers[0], untargeted)),
    measure('auto, targets', () => verify(controllers[1], sequences)),
    measure('shape', () => controllers[0].nextShape(snapshot, COST_MODEL, { local: true, remote: false })),
  ]
}
