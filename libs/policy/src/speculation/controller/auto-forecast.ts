// What drafting would bring by what recent trees say, and whether it is worth more than plain decoding.
import { needOf } from './need.ts'
import { goodputOf } from './shape-question.ts'
import type { ForecastStep, ShapeQuestion } from './shape-question.ts'
import type { DraftShape } from './snapshot.ts'
import { LEAST_SHARE, NUM_EDGES, edgeProbability, placeOf } from './tree-histogram.ts'

export interface DraftForecast extends ForecastStep {
  readonly depth: DraftShape['depth']
  readonly leastProbability: DraftShape['leastProbability']
  readonly leastGrown: DraftShape['leastGrown']
  readonly promisedGoodput: number
}

/** Trees about as large as a run holds: the next larger run pays only if nearly all of a batch fill it. */
const LARGE_TREE_NODES = 4
/** Promises that differ by less are alike. */
const ALIKE_RATIO = 0.96

interface Growth extends ForecastStep {
  readonly depth: number
  readonly edge: number
  readonly nodes: number
}

/** How far to grow trees to make the most of them; null: the budget holds no node. Large trees are grown on for as long as that costs next to nothing. */
export function bestDraft(question: ShapeQuestion, { maxDepth }: { readonly maxDepth: number }): DraftForecast | null {
  const { sequences, verifyMs } = question
  const growths = growthsOf(question, maxDepth)
  let best = growths.next().value
  if (best === undefined) return null
  let most = goodputOf(best)
  for (const growth of growths) {
    const least = growth.depth === best.depth && growth.nodes > LARGE_TREE_NODES ? ALIKE_RATIO : 1
    if (goodputOf(growth) <= least * most) continue
    best = growth
    most = Math.max(most, goodputOf(growth))
  }
  const { depth, edge, ms, nodes, tokens } = best
  const leastGrown = edgeProbability(edge)
  const nodeMs = (verifyMs(2) - verifyMs(1)) / sequences.length
  const worthVerifying = Math.min(LEAST_SHARE * leastGrown, goodputOf(best) * nodeMs)
  return { tokens, ms, depth, leastGrown, promisedGoodput: goodputOf(best), leastProbability: nodes > LARGE_TREE_NODES ? 0 : worthVerifying }
}

/** Steps with trees of every depth, grown further and further. */
function* growthsOf({ budgetTokens, draftMs, sequences, treeCurve, verifyMs }: ShapeQuestion, maxDepth: number): Generator<Growth, undefined> {
  const count = sequences.length
  const curve = treeCurve()
  for (let edge = 0; edge < NUM_EDGES; edge += 1) {
    let [nodes, tokens, grown, levels] = [0, 1, 0, 0]
    for (let depth = 1; depth <= maxDepth; depth += 1) {
      const place = placeOf(depth, edge)
      const above = placeOf(depth - 1, edge)
      // A batch is drafted for as long as its deepest tree grows.
      levels += depth === 1 ? 1 : 1 - (1 - Math.min(1, curve.deeper[above]!)) ** count
      grown += depth === 1 ? 0 : curve.grown[above]!
      nodes += curve.nodes[place]!
      tokens += curve.tokens[place]!
      if ((nodes + 1) * count > budgetTokens) break
      yield { depth, edge, nodes, tokens: count * tokens, ms: draftMs(levels, grown) + verifyMs(nodes) }
    }
  }
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
