// Builds the parts of an instance actor and ties them together: who tells whom that a request starts, ends or moves.
import { BlockPool } from '@rubato/kv'
import { Admission } from './batch/admission.ts'
import { PrefixWriter } from './batch/prefix-writer.ts'
import { RunningSet } from './batch/running-set.ts'
import { StepClock } from './batch/step-clock.ts'
import { StepCommitter } from './batch/step-commit.ts'
import { StepPlanner } from './batch/step-planner.ts'
import { EffectList } from './effects.ts'
import { HandOffDestination } from './hand-off/destination.ts'
import { HandOffSource } from './hand-off/source.ts'
import type { InstanceConfig } from './instance-config.ts'
import { Migrations } from './migration/migrations.ts'
import { MovedRequests } from './migration/moved.ts'
import { Outbox } from './report/outbox.ts'
import { RequestSpans } from './report/request-spans.ts'
import { SharedTimer } from './report/shared-timer.ts'
import { HeldRequests } from './request/held-requests.ts'
import { Intake } from './request/intake.ts'
import type { InstanceRequest } from './request/request.ts'
import { RequestBook } from './request/request-book.ts'
import { WaitingQueue } from './request/waiting-queue.ts'
import { RemoteSide } from './speculation/remote/remote-side.ts'
import { Speculation } from './speculation/speculation.ts'

export interface InstanceParts {
  readonly effects: EffectList
  readonly pool: BlockPool
  readonly waiting: WaitingQueue
  readonly running: RunningSet
  readonly outbox: Outbox
  readonly clock: StepClock
  /** null: nothing is ever drafted. */
  readonly speculation: Speculation | null
  readonly expiry: SharedTimer
  /** Repeats and silences of hand-offs. */
  readonly peerTimer: SharedTimer
  /** null: no speculator is ever asked. */
  readonly remote: RemoteSide | null
  /** Patience with speculators. */
  readonly draftTimer: SharedTimer
  readonly book: RequestBook
  readonly held: HeldRequests
  readonly planner: StepPlanner
  readonly committer: StepCommitter
  readonly source: HandOffSource
  readonly destination: HandOffDestination
  readonly intake: Intake
  readonly migrations: Migrations
  readonly moved: MovedRequests
  /** Start of the step that is being committed. */
  readonly stepTimes: { startMs: number }
}

type Base = ReturnType<typeof baseParts>

export function instanceParts(config: InstanceConfig): InstanceParts {
  const base = baseParts(config)
  const { expiry, outbox, pool, prefixes, running, spans, stepTimes, waiting } = base
  const book = new RequestBook({
    waiting, running, outbox, expiry,
    onLeave: (request, nowMs) => {
      source.left(request, nowMs)
      spans.decodeEnds(request, nowMs)
    },
    onChoiceLeave: (request, index, nowMs) => source.choiceLeft(request, index, nowMs),
  })
  const source: HandOffSource = new HandOffSource({
    ...base, timer: base.peerTimer, drop: (request, nowMs) => book.drop(request, nowMs), onKeep: (request, nowMs) => spans.decodeStarts(request, nowMs),
    onStage: ({ request, live }, nowMs) => spans.copied(request, { startMs: live!.stageStartMs, endMs: nowMs }, { stage: live!.numStages, blocks: live!.stageBlocks, isLast: live!.suspendedMs !== null }),
    onMoveEnd: (outgoing, end, nowMs) => migrations.ended(outgoing, end, nowMs),
  })
  const held = new HeldRequests({ ...base, book })
  const planner: StepPlanner = new StepPlanner({
    ...base,
    held,
    reservedSequences: () => destination.numSequences,
    onAdmit: (request, nowMs) => {
      if (request.admittedMs === nowMs && request.numSpans === 0) spans.queued(request, nowMs)
      if (base.speculation?.asksRemote === true) base.remote?.introduce(request, nowMs)
      source.admitted(request, nowMs)
    },
    onPreempt: (request, nowMs) => source.preempted(request, nowMs),
  })
  const destination: HandOffDestination = destinationOf({ ...base, book, planner, source }, { nextArrival: () => intake.nextArrival(), onMoved: () => migrations.took() })
  const intake: Intake = new Intake({ ...base, book, planner, source, destination })
  const moved = new MovedRequests(config, base.effects)
  const migrations: Migrations = new Migrations({ ...base, source, destination, moved })
  const committer = new StepCommitter({
    config, pool, running, outbox, prefixes,
    onRequestEnd: (request, nowMs) => book.end(request, nowMs),
    onCells: (run, nowMs) => spans.cells(run, { startMs: stepTimes.startMs, endMs: nowMs }),
    onPromptEnd: (request, leadSlot, nowMs) => {
      if (request.handOff === null) spans.decodeStarts(request, nowMs)
      else source.promptEnded(request, leadSlot)
    },
  })
  return { ...base, book, held, planner, committer, source, destination, intake, migrations, moved }
}

function baseParts(config: InstanceConfig) {
  const effects = new EffectList()
  const pool = new BlockPool(config.shape.numBlocks, { enablePrefixCache: config.enablePrefixCache })
  const running = new RunningSet(pool)
  const clock = new StepClock(config.costModel ?? null)
  const policy = config.speculation ?? null
  const spans = new RequestSpans(effects, config.shape.cellTokens)
  const draftTimer = new SharedTimer(effects)
  const remote = policy === null || (config.speculators ?? null) === null ? null : new RemoteSide({ config, running, effects, timer: draftTimer })
  return {
    config, effects, pool, running, clock, remote, draftTimer, spans,
    speculation: policy === null ? null : new Speculation(policy, { config, running, clock, remote, spans }),
    waiting: new WaitingQueue(),
    outbox: new Outbox(config),
    expiry: new SharedTimer(effects),
    peerTimer: new SharedTimer(effects),
    admission: new Admission(config, pool),
    prefixes: new PrefixWriter(config, pool),
    stepTimes: { startMs: 0 },
  }
}

interface TakeHooks {
  readonly nextArrival: () => number
  /** A live request came in. */
  readonly onMoved: () => void
}

function destinationOf(parts: Base & Pick<InstanceParts, 'book' | 'planner' | 'source'>, { nextArrival, onMoved }: TakeHooks): HandOffDestination {
  const { book, outbox, peerTimer, planner, running, source, spans } = parts
  return new HandOffDestination({
    ...parts,
    timer: peerTimer,
    nextArrival,
    giveSlots: (request) => planner.giveSlots(request),
    heldEpoch: (requestId) => book.get(requestId)?.message.epoch ?? null,
    waitsFor: (peer) => source.waitsFor(peer),
    numMoving: () => source.numMoving,
    onTaken: (request, isLive, nowMs) => {
      const former = book.get(request.message.requestId)
      if (former !== undefined) book.drop(former, nowMs)
      takeUp(request, nowMs)
      if (!isLive) return
      onMoved()
      // Its router is to know at once who has it.
      for (const sequence of request.live) outbox.add(sequence, { firstIndex: sequence.log.length, tokenIds: [], logprobs: null, finish: null })
    },
    onPulled: ({ reservation, numBlocks, startedMs }, numBytes, nowMs) => {
      spans.transferred(reservation.request, { startMs: startedMs, endMs: nowMs }, { bytes: numBytes, blocks: numBlocks })
    },
  })

  function takeUp(request: InstanceRequest, nowMs: number): void {
    request.admittedMs = nowMs
    request.promptEndMs = nowMs
    book.add(request, nowMs)
    if (request.live.length === 0) return book.end(request, nowMs)
    spans.decodeStarts(request, nowMs)
    running.join(request)
  }
}
