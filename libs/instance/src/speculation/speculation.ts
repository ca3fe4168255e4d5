// Speculation of one instance: shows the controller the sequences that decode, hands the planner their trees, asks the engine for the
// next ones, and learns from what came back.
//
// 1. A tree is verified only in the slot and behind the very token that it was proposed for: whatever moves a sequence on in another
//    way leaves it without one.
// 2. Drafts of the engine's own model for the next step are asked for with the current one; nothing waits for them. Those of a
//    speculator are asked for once its tokens are committed, and the next step waits for as long as that can pay (remote/).
// 3. Draft nodes change how far a step gets, never what is emitted: dropping any of this is always right.
// 4. A step that the controller lets pass goes as without speculation: nobody is looked at, nothing is made for it.
import { SpeculationController, acceptanceClass, depthOf, numGrown, prunedTree, runBucket } from '@rubato/policy'
import type { CellWork, DecodeWork, DraftSource, MeasuredTime, ProposalShape, SpeculatingSequence, SpeculationPolicy, VerifyPlan } from '@rubato/policy'
import type { DraftWish, StepDrafts, StepResult, StepTokens, TokenTree } from '@rubato/model'
import type { PlannedStep } from '../batch/planned-step.ts'
import type { RunningSet } from '../batch/running-set.ts'
import type { StepClock } from '../batch/step-clock.ts'
import type { InstanceConfig } from '../instance-config.ts'
import type { RequestSpans } from '../report/request-spans.ts'
import type { Sequence } from '../request/request.ts'
import { SpeculationCounters } from './counters.ts'
import type { SpeculationLoad } from './counters.ts'
import type { RemoteArrival, RemoteSide } from './remote/remote-side.ts'
import { ProposedTree, SequenceProposals } from './sequence-proposals.ts'

export interface SpeculationParts {
  readonly config: InstanceConfig
  readonly running: RunningSet
  readonly clock: StepClock
  /** null: no speculator is ever asked. */
  readonly remote: RemoteSide | null
  readonly spans: RequestSpans
}

/** A tree in the step that runs. */
interface Verifying {
  readonly proposed: ProposedTree
  readonly numNodes: number
  readonly neededNodes: number
  readonly expectedTokens: number
}

const CLASSES = [0, 1, 2] as const
/** A lookup of at least so many tokens whose last is at least this likely counts as copying. */
const COPIED_TOKENS = 4
const COPIED_PROBABILITY = 0.5
const NO_DEMAND = { nodes: 0, expectedTokens: 1 } as const

export class Speculation {
  readonly #parts: SpeculationParts
  readonly #controller: SpeculationController
  readonly #counters = new SpeculationCounters()
  readonly #proposals = new WeakMap<Sequence, SequenceProposals>()
  readonly #verifying = new Map<number, Verifying>()
  /** Of the plan in progress, reused: parallel to its ready sequences. */
  readonly #ready: Sequence[] = []
  #views: SpeculatingSequence[] = []
  /** null: the step passes. */
  #plan: VerifyPlan | null = null
  /** Trees are on hand, or still being followed. */
  #hasProposals = false
  #draftProblem: string | null = null
  #source: DraftSource = 'local'

  constructor(policy: SpeculationPolicy, parts: SpeculationParts) {
    this.#controller = new SpeculationController(policy)
    this.#parts = parts
  }

  get #canDraft(): boolean {
    return this.#parts.config.shape.canDraft === true && this.#draftProblem === null
  }

  /** A speculator makes the drafts now. */
  get asksRemote(): boolean {
    return this.#source === 'remote' && this.#controller.shape.kind === 'draft'
  }

  /** A plan begins: chooses nodes for these sequences as if there were no cells. */
  begin(ready: readonly Sequence[], nowMs: number): void {
    this.#ready.length = 0
    this.#views = []
    this.#plan = null
    this.#verifying.clear()
    if (ready.length > 0 && this.#controller.pass(ready.length)) return
    const wantsLookup = this.#controller.wantsLookup
    for (const sequence of ready) {
      this.#ready.push(sequence)
      if (wantsLookup) this.#lookUp(sequence)
      this.#views.push(this.#view(sequence, nowMs))
    }
    this.#plan = this.#verify([])
    if (wantsLookup && ready.length > 0) this.#controller.observeLookups(this.#plan.numNodes.some((count, place) => count > 0 && this.#freshOf(place)?.source === 'lookup'))
  }

  /** What the sequence at this place of `ready` puts on the step's ledger before any cell. */
  demandOf(place: number): { readonly nodes: number; readonly expectedTokens: number } {
    if (this.#plan === null) return NO_DEMAND
    return { nodes: this.#plan.neededNodes[place]!, expectedTokens: this.#plan.expectedTokens[place]! }
  }

  /** The cells of the step are known: what they leave is for nodes. */
  settleCells(cells: readonly CellWork[]): void {
    if (cells.length > 0 && this.#plan !== null) this.#plan = this.#verify(cells)
  }

  /** The tree to verify, no deeper than `room` says there are places for; null: a plain decode. */
  treeOf(place: number, room: (depth: number) => number): TokenTree | null {
    const numNodes = this.#plan?.numNodes[place] ?? 0
    const proposed = numNodes === 0 ? null : this.#freshOf(place)
    if (proposed === null) return null
    const { tree } = proposed
    const { remainingTokens } = this.#views[place]!
    const depth = Math.min(depthOf(tree, numNodes), remainingTokens - 1)
    const pruned = prunedTree(tree, numNodes, Math.min(depth, room(depth)))
    if (pruned.tokenIds.length === 0) return null
    const neededNodes = Math.min(this.#plan!.neededNodes[place]!, pruned.tokenIds.length)
    this.#verifying.set(this.#ready[place]!.slot!.handle, { proposed, numNodes: pruned.tokenIds.length, neededNodes, expectedTokens: this.#plan!.expectedTokens[place]! })
    return pruned
  }

  /**
   * What to ask the engine's draft model for behind this step. `samplers` are the handles whose prompts end in it; ready sequences are
   * drafted for when they decode in it. undefined: nothing, and no work for it.
   */
  wish(runsDecodes: boolean, samplers: readonly number[], nowMs: number): DraftWish | undefined {
    if (this.#plan === null) return undefined
    const starting = samplers.map((handle) => this.#parts.running.sequenceOf(handle)).filter((sequence) => sequence !== undefined && sequence.request.handOff === null) as Sequence[]
    const sequences = [...this.#views, ...starting.map((sequence) => this.#view(sequence, nowMs))]
    const { maxNumBatchedTokens } = this.#parts.config.limits
    const { clock, remote } = this.#parts
    const snapshot = { sequences, cells: [], budgetTokens: maxNumBatchedTokens }
    const sources = { local: this.#canDraft, remote: remote?.canAsk(nowMs) === true }
    const shape = this.#controller.nextShape(snapshot, clock.model, sources)
    if (shape.kind !== 'draft' || (!sources.local && !sources.remote)) return undefined
    const upcoming = [...(runsDecodes ? this.#ready.filter(({ slot }) => !this.#isCopying(slot!.handle)) : []), ...starting]
    const wanted = upcoming.slice(0, shape.trial?.maxSequences ?? upcoming.length)
    if (wanted.length === 0) return undefined
    const { depth, leastGrown, leastProbability, width } = shape
    const limits = { depth, width, leastProbability, leastGrown, calibration: this.#controller.calibration(classOf(upcoming[0]!)) }
    this.#source = this.#controller.chooseSource(wanted.length, clock.model)
    if (this.#source === 'local') return { handles: wanted.map(({ slot }) => slot!.handle), ...limits }
    // A speculator grows whatever it draws.
    remote?.plan(wanted, { ...limits, leastProbability: Math.max(leastProbability, leastGrown / 3), patienceMs: this.#controller.patienceMs(snapshot, clock.model) })
    return undefined
  }

  /** Trees of a speculator. */
  takeRemote({ trees, work, depth, leastProbability, elapsedMs, isTypical, isFirst }: RemoteArrival, nowMs: number): void {
    if (isFirst) this.#controller.forgetRemote()
    for (const { sequence, tree } of trees) {
      const candidates = { ...tree, pathProbability: new Float64Array(tree.tokenIds.length) }
      const estimated = this.#controller.estimated(classOf(sequence), candidates, { leastGrown: leastProbability, depth })
      this.#proposalsOf(sequence).draft = new ProposedTree({ source: 'draft', tree: estimated, slot: sequence.slot!, rootTokens: tree.numTokens })
      this.#hasProposals = true
      this.#parts.spans.proposed(sequence.request, 'remote', { nowMs, elapsedMs, nodes: tree.tokenIds.length })
    }
    if (isTypical && work !== null) this.#controller.observeDraft(work, { wallMs: elapsedMs, effortMs: elapsedMs }, 'remote')
  }

  /** Learns from a step; call before its tokens are committed. */
  observe(step: PlannedStep, result: StepResult, nowMs: number): void {
    this.#observeTime(step, result)
    if (this.#hasProposals) this.#observeAll(result.tokens)
    if (step.command.decodes.length > 0) this.#counters.step(this.#verifying.size === 0)
    this.#verifying.clear()
    if (result.drafts !== undefined) this.#takeDrafts(result.drafts, step, { tokens: result.tokens, nowMs })
  }

  load(): SpeculationLoad {
    const { shape } = this.#controller
    return {
      proposer: shape.kind,
      ...sizeOf(shape),
      canDraft: this.#canDraft,
      draftProblem: this.#draftProblem,
      draftsTotal: this.#counters.draftsTotal,
      draftTokensTotal: this.#counters.draftTokensTotal,
      acceptedTokensTotal: this.#counters.acceptedTokensTotal,
      acceptedByPosition: [...this.#counters.acceptedByPosition],
      neededTokensTotal: this.#counters.neededTokensTotal,
      draftMsTotal: this.#counters.draftMsTotal,
      stepsTotal: this.#counters.stepsTotal,
      plainStepsTotal: this.#counters.plainStepsTotal,
      calibrationRatios: CLASSES.map((index) => this.#controller.calibrationRatio(index)),
      ...(this.#parts.remote === null ? {} : { remote: this.#parts.remote.load() }),
    }
  }

  #verify(cells: readonly CellWork[]): VerifyPlan {
    const { config, clock } = this.#parts
    const cellTokens = cells.reduce((sum, cell) => sum + cell.cellTokens, 0)
    return this.#controller.verify({ sequences: this.#views, cells, budgetTokens: config.limits.maxNumBatchedTokens - cellTokens }, clock.model)
  }

  #proposalsOf(sequence: Sequence): SequenceProposals {
    let proposals = this.#proposals.get(sequence)
    if (proposals === undefined) {
      proposals = new SequenceProposals()
      this.#proposals.set(sequence, proposals)
    }
    return proposals
  }

  #view(sequence: Sequence, nowMs: number): SpeculatingSequence {
    const { request, log } = sequence
    const slot = sequence.slot!
    const proposals = this.#proposalsOf(sequence)
    const isForced = slot.kvTokens < sequence.settledKvTokens
    return {
      contextTokens: slot.kvTokens,
      acceptanceClass: classOf(sequence),
      tpotMs: request.message.slo.tpotMs,
      ...sequence.paceAt(nowMs),
      remainingTokens: Math.max(1, request.message.sampling.maxTokens - log.length),
      tree: isForced ? null : (proposals.fresh(slot, sequence.totalTokens)?.tree ?? null),
    }
  }

  #lookUp(sequence: Sequence): void {
    const proposals = this.#proposalsOf(sequence)
    const remaining = sequence.request.message.sampling.maxTokens - sequence.log.length
    const tree = this.#controller.lookUp(classOf(sequence), proposals.chainsOf(sequence), remaining - 1)
    proposals.lookup = tree === null ? null : new ProposedTree({ source: 'lookup', tree, slot: sequence.slot!, rootTokens: sequence.totalTokens })
    this.#hasProposals ||= tree !== null
  }

  #freshOf(place: number): ProposedTree | null {
    const sequence = this.#ready[place]!
    return this.#proposals.get(sequence)?.fresh(sequence.slot!, sequence.totalTokens) ?? null
  }

  /** The sequence is taken to repeat what stood before: its next tokens are looked up, not drafted. */
  #isCopying(handle: number): boolean {
    const verifying = this.#verifying.get(handle)
    if (verifying?.proposed.source !== 'lookup') return false
    return verifying.numNodes >= COPIED_TOKENS && verifying.proposed.tree.pathProbability[verifying.numNodes - 1]! >= COPIED_PROBABILITY
  }

  /** Steps without cells and copies tell what runs cost. */
  #observeTime({ command, decodeContextTokens }: PlannedStep, { cpuMs, stepMs }: StepResult): void {
    const { cells, decodes, copyBlocks } = command
    if (cells.length > 0 || decodes.length === 0 || copyBlocks.length > 0) return
    this.#controller.observeRuns(runsOf(decodes, decodeContextTokens), this.#measured(stepMs, cpuMs), this.#parts.clock.model)
  }

  #measured(wallMs: number, cpuMs: number): MeasuredTime {
    return { wallMs, effortMs: this.#parts.config.shape.isCpuBound === true ? cpuMs : wallMs }
  }

  #observeAll(tokens: readonly StepTokens[]): void {
    this.#hasProposals = false
    for (const each of tokens) this.#observeTokens(each)
  }

  #observeTokens({ handle, tokenIds, finish }: StepTokens): void {
    const sequence = this.#parts.running.sequenceOf(handle)
    const verifying = this.#verifying.get(handle)
    if (verifying !== undefined) this.#counters.verified(verifying.numNodes, verifying.neededNodes, tokenIds.length - 1)
    const proposals = sequence === undefined ? undefined : this.#proposals.get(sequence)
    if (sequence === undefined || proposals === undefined) return
    const index = classOf(sequence)
    if (verifying?.proposed.source === 'draft' && finish === null) this.#controller.settle(index, verifying.expectedTokens, tokenIds.length)
    for (const source of ['draft', 'lookup'] as const) {
      const proposed = proposals[source]
      if (proposed === null) continue
      this.#controller.learn(index, source, proposed.follow(tokenIds, sequence.totalTokens))
      if (proposed.isOver) proposals[source] = null
      else this.#hasProposals = true
    }
  }

  #takeDrafts({ trees, draftMs, draftCpuMs, problem }: StepDrafts, { command }: PlannedStep, { tokens, nowMs }: { readonly tokens: readonly StepTokens[]; readonly nowMs: number }): void {
    this.#draftProblem ??= problem
    this.#counters.draftMsTotal += draftMs
    const emitted = new Map(tokens.map(({ handle, tokenIds }) => [handle, tokenIds.length]))
    const limits = { leastGrown: command.draft?.leastGrown ?? 0, depth: command.draft?.depth ?? 0 }
    let areKnown = trees.length > 0
    let levels = 0
    let nodes = 0
    for (const { handle, tree } of trees) {
      const sequence = this.#parts.running.sequenceOf(handle)
      if (sequence === undefined) continue
      const proposals = this.#proposalsOf(sequence)
      areKnown &&= proposals.wasDrafted
      proposals.wasDrafted = true
      const estimated = this.#controller.estimated(classOf(sequence), tree, limits)
      proposals.draft = new ProposedTree({ source: 'draft', tree: estimated, slot: sequence.slot!, rootTokens: sequence.totalTokens + (emitted.get(handle) ?? 0) })
      this.#hasProposals = true
      this.#parts.spans.proposed(sequence.request, 'local', { nowMs, elapsedMs: draftMs, nodes: tree.tokenIds.length })
      nodes += numGrown(tree, limits)
      levels = Math.max(levels, depthOf(tree, tree.tokenIds.length))
    }
    if (areKnown) this.#controller.observeDraft({ numSequences: trees.length, levels, nodes }, this.#measured(draftMs, draftCpuMs))
  }
}

/** One run per bucket of rows; all context is counted with the first, since it costs the same in each. */
function runsOf(decodes: PlannedStep['command']['decodes'], contextTokensSum: number): DecodeWork[] {
  const runs = new Map<number, { batch: number; nodes: number; contextTokensSum: number }>()
  for (const { tree } of decodes) {
    const nodes = tree?.tokenIds.length ?? 0
    const bucket = runBucket(1 + nodes)
    const run = runs.get(bucket)
    if (run === undefined) runs.set(bucket, { batch: 1, nodes, contextTokensSum: runs.size === 0 ? contextTokensSum : 0 })
    else {
      run.batch += 1
      run.nodes += nodes
    }
  }
  return [...runs.values()]
}

function classOf({ request }: Sequence): number {
  return acceptanceClass(request.message.sampling.temperature)
}

function sizeOf(shape: ProposalShape): { readonly depth: number; readonly width: number } {
  if (shape.kind === 'off') return { depth: 0, width: 0 }
  return shape.kind === 'draft' ? { depth: shape.depth, width: shape.width } : { depth: shape.maxTokens, width: 1 }
}
