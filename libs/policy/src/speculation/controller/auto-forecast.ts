// What drafting would bring by what recent trees say, and whether it is worth more than plain decoding.
import { needOf } from './need.ts'
import { goodputOf } from './shape-question.ts'
import type { ForecastStep, ShapeQuestion } from './shape-question.ts'
import type { DraftShape } from './snapshot.ts'
import { LEAST_SHARE, NUM_EDGES, edgeProbability } from './tree-histogram.ts'

export interface DraftForecast extends ForecastStep {
  readonly leastProbability: DraftShape['leastProbability']
  readonly leastGrown: DraftShape['leastGrown']
  readonly promisedGoodput: number
}

/** How far to grow trees to make the most of them; null: the budget holds no node. */
export function bestDraft(question: ShapeQuestion, { maxDepth }: { readonly maxDepth: number }): DraftForecast | null {
  const { budgetTokens, draftMs, sequences, verifyMs } = question
  const count = sequences.length
  const { grown, levels, nodes, tokens } = question.treeCurve()
  const nodeMs = (verifyMs(2) - verifyMs(1)) / count
  // A batch is drafted for as long as its deepest tree grows.
  const deepest = 1 + Math.log2(count) / 4
  let best: DraftForecast | null = null
  for (let edge = 0; edge < NUM_EDGES && (nodes[edge]! + 1) * count <= budgetTokens; edge += 1) {
    const step: ForecastStep = { tokens: count * (1 + tokens[edge]!), ms: draftMs(Math.min(maxDepth, deepest * levels[edge]!), grown[edge]!) + verifyMs(nodes[edge]!) }
    const promisedGoodput = goodputOf(step)
    if (best !== null && promisedGoodput <= best.promisedGoodput) continue
    const leastGrown = edgeProbability(edge)
    best = { ...step, promisedGoodput, leastGrown, leastProbability: Math.min(LEAST_SHARE * leastGrown, promisedGoodput * nodeMs) }
  }
  return best
}

/** Deficits that differ by less than this per sequence are alike. */
const LEAST_DEFICIT = 0.05

/** Lexicographic: tokens short of targets, then goodput, of which drafting must promise this much more than plain decoding. */
export function promises(question: ShapeQuestion, drafted: ForecastStep, plain: ForecastStep, leastRatio: number): boolean {
  const difference = deficitOf(drafted, question) - deficitOf(plain, question)
  if (Math.abs(difference) > LEAST_DEFICIT * question.sequences.length) return difference < 0
  return question.keptRatio * goodputOf(drafted) > goodputOf(plain) * leastRatio
}

function deficitOf({ tokens, ms }: ForecastStep, { sequences }: ShapeQuestion): number {
  const each = tokens / sequences.length
  let deficit = 0
  for (const sequence of sequences) {
    if (sequence.tpotMs === null) continue
    const required = (sequence.elapsedMs + ms) / sequence.tpotMs - sequence.emittedTokens
    if (needOf(sequence, ms, Math.max(each, 2)).standing !== 'lost') deficit += Math.max(0, required - each)
  }
  return deficit
}
