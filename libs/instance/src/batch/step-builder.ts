// Collects one StepCommand, part by part.
import type { Cell, Decode, DraftWish, SequenceSpec, StepCommand, TokenTree } from '@rubato/model'
import type { CellWork } from '@rubato/policy'
import type { EngineSlot } from '../request/engine-slot.ts'
import type { InstanceRequest, Sequence } from '../request/request.ts'
import { nextCellTokens } from './cells.ts'
import type { CellRun, PlannedStep } from './planned-step.ts'
import type { StartingChoices } from './running-set.ts'

export class StepBuilder {
  readonly #admit: SequenceSpec[] = []
  readonly #appendBlocks: { handle: number; blockIds: readonly number[] }[] = []
  readonly #copyBlocks: { from: number; to: number }[] = []
  readonly #cells: Cell[] = []
  readonly #decodes: Decode[] = []
  readonly #cellRuns: CellRun[] = []
  readonly #begun: InstanceRequest[] = []
  #decodeContextTokens = 0
  readonly #forced: { sequence: Sequence; slot: EngineSlot }[] = []

  /** Introduces all choices. Only the lead gets its table now: the others' starts with the lead's blocks, which nobody else may hold while they are written. */
  admit(request: InstanceRequest): void {
    this.#begun.push(request)
    const { promptIds, sampling } = request.message
    for (const { slot, index, log } of request.live) {
      slot!.isAdmitted = true
      this.#admit.push({ handle: slot!.handle, sequence: index, promptIds, emittedIds: log.tokenIds.slice(), sampling })
    }
    this.#tellBlocks(request.lead!.slot!)
  }

  /** Introduces all choices of a request whose first one has the KV of the prompt in its blocks; choices that have more than that have it in their own. */
  join(request: InstanceRequest): void {
    this.#begun.push(request)
    const { promptIds, sampling } = request.message
    for (const { slot, index, log } of request.live) {
      slot!.isAdmitted = true
      this.#admit.push({ handle: slot!.handle, sequence: index, promptIds, emittedIds: log.tokenIds.slice(), sampling, kvTokens: slot!.kvTokens })
    }
    const leadSlot = request.live[0]!.slot!
    this.#tellBlocks(leadSlot)
    this.startChoices({ request, leadSlot })
  }

  /** The prompt is written: the other choices join, each with its own copy of a partial last block. */
  startChoices({ request, leadSlot }: StartingChoices): void {
    const partialPlace = Math.floor(request.promptLen / leadSlot.table.blockSize)
    const hasPartial = request.promptLen % leadSlot.table.blockSize !== 0
    for (const { slot } of request.live) {
      if (slot === null || slot === leadSlot) continue
      if (hasPartial && slot.kvTokens <= request.promptLen) this.#copyBlocks.push({ from: leadSlot.table.blockIds[partialPlace]!, to: slot.table.blockIds[partialPlace]! })
      this.#tellBlocks(slot)
    }
  }

  /** The next `numCells` cells of a prompt, at most to its end; choices without tokens sample from the last one. */
  addPromptCells(request: InstanceRequest, numCells: number, cellTokens: number): void {
    const last = (): readonly number[] => request.live.filter(({ log }) => log.length === 0).map(({ slot }) => slot!.handle)
    this.#addCells(request.lead!, { numCells, cellTokens, end: request.promptLen }, last)
  }

  addReplayCells(sequence: Sequence, numCells: number, cellTokens: number): void {
    this.#addCells(sequence, { numCells, cellTokens, end: sequence.settledKvTokens }, () => [])
  }

  get hasCells(): boolean {
    return this.#cells.length > 0
  }

  /** Handles that sample from the cells so far. */
  samplers(): readonly number[] {
    return this.#cells.flatMap(({ sampleHandles }) => sampleHandles)
  }

  /** The cells so far. */
  cellWork(): readonly CellWork[] {
    return this.#cells.map(({ start, count }) => ({ cellTokens: count, contextTokens: start }))
  }

  /** A tree goes with a decode that samples. */
  addDecode(sequence: Sequence, tree: TokenTree | null = null): void {
    const slot = sequence.slot!
    const isForced = slot.kvTokens < sequence.settledKvTokens
    this.#tellBlocks(slot)
    this.#decodeContextTokens += slot.kvTokens
    this.#decodes.push(isForced ? slot.forcedDecode : tree === null ? slot.decode : { handle: slot.handle, tree, forced: false })
    if (isForced) this.#forced.push({ sequence, slot })
  }

  /** null when there is nothing for the engine to do. */
  build(stepId: number, released: readonly EngineSlot[], draft?: DraftWish): PlannedStep | null {
    const isEmpty = this.#cells.length === 0 && this.#decodes.length === 0 && this.#copyBlocks.length === 0 && released.length === 0
    if (isEmpty && this.#appendBlocks.length === 0) return null
    const command: StepCommand = {
      kind: 'step',
      stepId,
      admit: this.#admit,
      appendBlocks: this.#appendBlocks,
      copyBlocks: this.#copyBlocks,
      cells: this.#cells,
      decodes: this.#decodes,
      release: released.map(({ handle }) => handle),
      ...(draft === undefined ? {} : { draft }),
    }
    return { command, decodeContextTokens: this.#decodeContextTokens, begun: this.#begun, cells: this.#cellRuns, forced: this.#forced, released }
  }

  #addCells(sequence: Sequence, range: { numCells: number; cellTokens: number; end: number }, sampleHandles: () => readonly number[]): void {
    const slot = sequence.slot!
    let start = slot.kvTokens
    for (let added = 0; added < range.numCells && start < range.end; added++) {
      const count = nextCellTokens(start, range.end, range.cellTokens)
      this.#cells.push({ handle: slot.handle, start, count, sampleHandles: start + count === range.end ? sampleHandles() : [] })
      start += count
    }
    if (start > slot.kvTokens) this.#cellRuns.push({ sequence, slot, end: start })
  }

  #tellBlocks(slot: EngineSlot): void {
    if (slot.numSentBlocks < slot.table.blockIds.length) this.#appendBlocks.push({ handle: slot.handle, blockIds: slot.takeUnsentBlocks() })
  }
}
