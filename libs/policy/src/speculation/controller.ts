// The speculation controller of one instance: keeps what was learnt of acceptance and costs, and asks its policy two questions per
// step, which candidates to verify now and what to propose next. Everything it knows came as arguments; it has no clock.
//
// 1. Roots and chosen nodes never exceed the budget, whatever the policy answers.
// 2. Chosen nodes are a prefix of each sequence's candidates.
// 3. With the policy `off` nothing is asked, learnt or allocated; a policy that found nothing to gain lets most steps pass unasked.
import { predictCellMs } from '../cost-model/model.ts'
import type { DecodeWork, StepCostModel } from '../cost-model/model.ts'
import type { CandidateTree, DecidedNode, GrowthLimits } from './candidates.ts'
import type { Calibration } from './calibration.ts'
import { AcceptanceBook, NUM_CLASSES } from './controller/acceptance-book.ts'
import type { DraftWork } from './controller/draft-cost.ts'
import { DraftSources } from './controller/draft-sources.ts'
import type { DraftAvailability, DraftSource } from './controller/draft-sources.ts'
import { KeptPromises } from './controller/kept-promises.ts'
import { Lookups } from './controller/lookups.ts'
import type { SpeculationPolicy } from './controller/policy.ts'
import type { ShapeQuestion } from './controller/shape-question.ts'
import { RunCost } from './controller/run-cost.ts'
import { OFF } from './controller/snapshot.ts'
import type { ProposalShape, SpeculationSnapshot, VerifyPlan } from './controller/snapshot.ts'
import { StepTime } from './controller/step-time.ts'
import { expectedTokensByNodes } from './controller/tree-forecast.ts'
import { emptyCurve } from './controller/tree-histogram.ts'
import type { TreeCurve } from './controller/tree-histogram.ts'
import { noNodes } from './controller/verify-question.ts'
import type { TokenChains } from './proposers/token-chains.ts'

/** Used while there is no profile: a decode's cost is mostly fixed. */
const UNPROFILED: StepCostModel = {
  decode: { fixedMs: 1, perSequenceMs: 0.05, perNodeMs: 0.05, perContextTokenMs: 0 },
  cell: { fixedMs: 1, perTokenMs: 0.05, perPairMs: 0 },
  correctionRatio: 1,
}

/** What one step or drafting took: passing time, and what of it the work itself needed; the same where only time is known. */
export interface MeasuredTime {
  readonly wallMs: number
  readonly effortMs: number
}

/** Weight of the newest step in the ratio of passing time to effort, and its range. */
const SLOWNESS_WEIGHT = 0.05
const MAX_SLOWNESS = 8

export class SpeculationController {
  readonly #policy: SpeculationPolicy
  readonly #acceptance = new AcceptanceBook()
  readonly #promises = new KeptPromises()
  readonly #lookups: Lookups
  #runCost: RunCost | null = null
  #sources: DraftSources | null = null
  #slowness = 1
  #lastDraft: DraftWork | null = null
  #shape: ProposalShape = OFF
  #stepNumber = 0
  #numSequences = 0

  constructor(policy: SpeculationPolicy) {
    this.#policy = policy
    this.#lookups = new Lookups(policy.lookup)
  }

  get shape(): ProposalShape {
    return this.#shape
  }

  /** Whether lookups are wanted in the step being planned. */
  get wantsLookup(): boolean {
    return this.#lookups.areWanted(this.#shape, this.#stepNumber)
  }

  /** What an earlier occurrence of the sequence's last tokens suggests; null: nothing. */
  lookUp(acceptanceClass: number, chains: TokenChains, maxTokens: number): CandidateTree | null {
    return this.#lookups.propose(this.#shape, acceptanceClass, chains, maxTokens)
  }

  /** A draft model's tree, grown within these limits, with this instance's estimates for the class. */
  estimated(acceptanceClass: number, tree: CandidateTree, limits: GrowthLimits): CandidateTree {
    const estimated = this.#acceptance.estimated(acceptanceClass, tree)
    this.#acceptance.observeTree(acceptanceClass, estimated, limits)
    return estimated
  }

  /** For the draft model's own choice of nodes. */
  calibration(acceptanceClass: number): Calibration {
    return this.#acceptance.calibration(acceptanceClass)
  }

  calibrationRatio(acceptanceClass: number): number {
    return this.#acceptance.calibrationRatio(acceptanceClass)
  }

  /**
   * A step of so many decodes, without candidates, passes unasked: nothing is proposed and no question is due. Counts the step; where
   * it answers false the step is to be planned with `verify` and `nextShape`.
   */
  pass(numSequences: number): boolean {
    if (this.#shape.kind !== 'off' || numSequences !== this.#numSequences || this.#stepNumber % this.#policy.idleSteps === 0 || this.wantsLookup) return false
    this.#stepNumber += 1
    return true
  }

  /** Which candidates are verified. */
  verify(snapshot: SpeculationSnapshot, costModel: StepCostModel | null): VerifyPlan {
    const { sequences, budgetTokens } = snapshot
    if (sequences.every(({ tree }) => tree === null) || budgetTokens <= sequences.length) return noNodes(sequences.length)
    const model = costModel ?? UNPROFILED
    const time = this.#timeOf(snapshot, model, this.#lastDraftMs(sequences.length, model))
    const plan = this.#policy.verify({
      sequences, budgetTokens,
      stepMs: (numNodes) => time.predictMs(numNodes),
      nodeMs: time.perNodeMs,
      numPlainRuns: this.#runCostOf(model).numMeasured({ batch: sequences.length, nodes: 0, contextTokensSum: 0 }),
      trial: this.#shape.kind === 'draft' ? this.#shape.trial : null,
      stepNumber: this.#stepNumber,
    })
    return withinBudget(plan, budgetTokens)
  }

  /** What is proposed for the step after the one being planned; `sequences` are those that will decode in it. */
  nextShape(snapshot: SpeculationSnapshot, costModel: StepCostModel | null, sources: DraftAvailability): ProposalShape {
    this.#sourcesOf(costModel ?? UNPROFILED).offer(sources)
    if (snapshot.sequences.length > 0) this.#shape = this.#policy.shape(this.#question(snapshot, costModel ?? UNPROFILED, sources.local || sources.remote))
    this.#numSequences = snapshot.sequences.length
    this.#stepNumber += 1
    return this.#shape
  }

  /** Who is to make the drafts that nextShape asked for, for so many sequences. */
  chooseSource(numSequences: number, costModel: StepCostModel | null): DraftSource {
    const { depth, width } = this.#shape.kind === 'draft' ? this.#shape : { depth: 1, width: 1 }
    return this.#sourcesOf(costModel ?? UNPROFILED).choose({ numSequences, levels: depth, nodes: numSequences * depth * width }, this.#slowness)
  }

  /** How long these sequences may wait for the drafts that nextShape asked for before plain decoding would have been faster. */
  patienceMs(snapshot: SpeculationSnapshot, costModel: StepCostModel | null): number {
    if (this.#shape.kind !== 'draft' || snapshot.sequences.length === 0) return 0
    const { draftTokens, verifyMs } = this.#question(snapshot, costModel ?? UNPROFILED, true)
    const plainMs = verifyMs(0)
    const { depth, width } = this.#shape
    return draftTokens(depth, width).reduce((most, tokens, nodes) => Math.max(most, tokens * plainMs - verifyMs(nodes)), 0)
  }

  /** Evidence from a tree of the draft model, or from a lookup. */
  learn(acceptanceClass: number, from: 'draft' | 'lookup', nodes: readonly DecidedNode[]): void {
    if (from === 'draft') this.#acceptance.learn(acceptanceClass, nodes)
    else this.#lookups.learn(acceptanceClass, nodes)
  }

  /** A step with lookups was planned: whether any of them is verified in it. */
  observeLookups(isUsed: boolean): void {
    this.#lookups.observe(isUsed)
  }

  /** A draft model's tree was verified: what was expected of its nodes and what came. */
  settle(acceptanceClass: number, expectedTokens: number, emittedTokens: number): void {
    this.#acceptance.settle(acceptanceClass, expectedTokens, emittedTokens)
  }

  /** One drafting for sequences that needed no catching up: by the engine, or by a speculator while the batch waited. */
  observeDraft(work: DraftWork, { effortMs, wallMs }: MeasuredTime, source: DraftSource = 'local'): void {
    this.#sources?.observe(source, work, source === 'local' ? effortMs : wallMs)
    this.#lastDraft = work
  }

  /** A step that verified drafts of the present shape, with the drafting behind it: tokens of all sequences, and the effort of both. */
  observeGoodput(numSequences: number, tokens: number, effortMs: number): void {
    const promised = this.#shape.kind === 'draft' && this.#shape.trial?.verifies !== 'sizes' ? this.#shape.promisedGoodput : null
    if (promised !== null) this.#promises.observe(numSequences, promised, { tokens, ms: this.#slowness * effortMs })
  }

  /** What was learnt of a speculator does not hold any more. */
  forgetRemote(): void {
    this.#sources?.forgetRemote()
  }

  /** A step of nothing but these runs. */
  observeRuns(runs: readonly DecodeWork[], { effortMs, wallMs }: MeasuredTime, costModel: StepCostModel | null): void {
    if (!(effortMs > 0)) return
    this.#runCostOf(costModel ?? UNPROFILED).observe(runs, effortMs)
    const ratio = Math.min(MAX_SLOWNESS, Math.max(1, wallMs / effortMs))
    this.#slowness += SLOWNESS_WEIGHT * (ratio - this.#slowness)
  }

  #runCostOf(model: StepCostModel): RunCost {
    this.#runCost ??= new RunCost(model)
    return this.#runCost
  }

  #sourcesOf(model: StepCostModel): DraftSources {
    this.#sources ??= new DraftSources((model.decode.fixedMs + model.decode.perSequenceMs) * model.correctionRatio)
    return this.#sources
  }

  #timeOf({ cells, sequences }: SpeculationSnapshot, model: StepCostModel, draftMs: number): StepTime {
    const otherMs = cells.reduce((sum, cell) => sum + predictCellMs(model, cell), draftMs)
    return new StepTime(sequences, this.#runCostOf(model), { otherMs, slowness: this.#slowness })
  }

  /** Of the drafting behind a step, if it is like the last one. */
  #lastDraftMs(numSequences: number, model: StepCostModel): number {
    if (this.#shape.kind !== 'draft' || this.#shape.trial !== null || this.#lastDraft === null) return 0
    const { levels, nodes, numSequences: lastSequences } = this.#lastDraft
    return this.#sourcesOf(model).predictMs({ numSequences, levels, nodes: (nodes / lastSequences) * numSequences }, this.#slowness)
  }

  #question(snapshot: SpeculationSnapshot, model: StepCostModel, canDraft: boolean): ShapeQuestion {
    const { sequences, budgetTokens } = snapshot
    const time = this.#timeOf(snapshot, model, 0)
    const sources = this.#sourcesOf(model)
    const numSequences = sequences.length
    return {
      sequences, budgetTokens, canDraft,
      current: this.#shape,
      stepNumber: this.#stepNumber,
      isNewLoad: numSequences !== this.#numSequences,
      keptRatio: this.#promises.ratio(numSequences),
      draftTokens: (depth, width) => expectedTokensByNodes(depth, width, this.#meanAcceptance(snapshot)),
      treeCurve: () => this.#treeCurve(snapshot),
      draftMs: (levels, nodes) => sources.predictMs({ numSequences, levels, nodes: nodes * numSequences }, this.#slowness),
      verifyMs: (nodes) => time.predictUniformMs(nodes),
    }
  }

  #meanAcceptance({ sequences }: SpeculationSnapshot): (depth: number, rank: number) => number {
    const shares = classShares(sequences)
    return (depth, rank) => shares.reduce((sum, share, index) => sum + (share === 0 ? 0 : share * this.#acceptance.meanAcceptance(index, depth, rank)), 0)
  }

  #treeCurve({ sequences }: SpeculationSnapshot): TreeCurve {
    const curve = emptyCurve()
    for (const [index, share] of classShares(sequences).entries()) if (share > 0) this.#acceptance.addForecast(index, curve, share)
    return curve
  }
}

function classShares(sequences: SpeculationSnapshot['sequences']): Float64Array {
  const shares = new Float64Array(NUM_CLASSES)
  for (const { acceptanceClass } of sequences) shares[acceptanceClass]! += 1 / sequences.length
  return shares
}

/** Cuts what a policy took too much of, from the last sequence on. */
function withinBudget(plan: VerifyPlan, budgetTokens: number): VerifyPlan {
  let over = plan.numNodes.reduce((sum, count) => sum + count, plan.numNodes.length) - budgetTokens
  for (let index = plan.numNodes.length - 1; over > 0 && index >= 0; index -= 1) {
    const cut = Math.min(over, plan.numNodes[index]!)
    plan.numNodes[index]! -= cut
    plan.neededNodes[index] = Math.min(plan.neededNodes[index]!, plan.numNodes[index]!)
    over -= cut
  }
  return plan
}
