// The bugs that a swarm must find, each as a wrapping of the actors and ports that it would sit in.
import type { Effect } from '@rubato/actor'
import { compareEpochs } from '@rubato/instance'
import type { EngineEffect, Epoch, KvPulled } from '@rubato/instance'
import type { StepCommand } from '@rubato/model'
import type { SimHosted } from '@rubato/service-rubato/simulated'
import { changed, changedPort, isInstance, isRouter, said } from './wrapping.ts'
import type { Wrapped } from './wrapping.ts'

/** Made anew for each run: some remember what they saw. */
export type MakeMutation = () => (hosted: SimHosted) => Wrapped

/** A router takes tokens whatever their epoch. */
const skippedEpochCheck: MakeMutation = () => (hosted) => {
  if (!isRouter(hosted)) return hosted
  const current = new Map<string, Epoch>()
  const raise = (requestId: string, epoch: Epoch): void => {
    const known = current.get(requestId)
    if (known === undefined || compareEpochs(epoch, known) > 0) current.set(requestId, epoch)
  }
  return changed(hosted, {
    hear: (incoming) => {
      if (incoming.kind !== 'message' || incoming.payload.kind !== 'tokens') return incoming
      for (const { requestId, epoch } of incoming.payload.runs) raise(requestId, epoch)
      const runs = incoming.payload.runs.map((run) => ({ ...run, epoch: current.get(run.requestId)! }))
      return { ...incoming, payload: { ...incoming.payload, runs } }
    },
    wish: (effect) => {
      const message = said(effect, 'generate') ?? said(effect, 'attach')
      if (message !== null) raise(message.requestId, message.epoch)
      return effect
    },
  })
}

/** A block that was freed once too often is given to another sequence while the first still has it. */
const doubleFree: MakeMutation = () => (hosted) => {
  if (!isInstance(hosted)) return hosted
  let lastBlock: number | null = null
  const give = (command: StepCommand): StepCommand => ({
    ...command,
    appendBlocks: command.appendBlocks.map(({ handle, blockIds }) => {
      const [first, ...others] = blockIds
      const given = lastBlock !== null && first !== undefined && first % 7 === 0 && !blockIds.includes(lastBlock) ? [lastBlock, ...others] : blockIds
      lastBlock = blockIds.at(-1) ?? lastBlock
      return { handle, blockIds: given }
    }),
  })
  const effect = (wanted: Effect): Effect => {
    const { command } = wanted as EngineEffect
    return command.kind === 'step' ? ({ ...wanted, command: give(command) } as EngineEffect) : wanted
  }
  return { actor: hosted.actor, effects: changedPort(hosted.effects, 'engine', { effect }) }
}

/** Nobody is ever told of a request: it never ends, and whoever runs the cluster must not wait for that. */
const lostDispatch: MakeMutation = () => (hosted) => (isRouter(hosted) ? changed(hosted, { wish: (effect) => (said(effect, 'generate') === null ? effect : null) }) : hosted)

/** Routers forget to tell instances of clients that left. */
const lostAbort: MakeMutation = () => (hosted) => (isRouter(hosted) ? changed(hosted, { wish: (effect) => (said(effect, 'abort') === null ? effect : null) }) : hosted)

/** Nobody hears that a lease is over. */
const ignoredLease: MakeMutation = () => (hosted) =>
  changed(hosted, {
    hear: (incoming) => (incoming.kind === 'message' && (incoming.payload.kind === 'member-gone' || (incoming.payload as { kind: string }).kind === 'member-lost') ? null : incoming),
  })

/** Whoever took a request over never says so. */
const droppedCommitReply: MakeMutation = () => (hosted) => (isInstance(hosted) ? changed(hosted, { wish: (effect) => (said(effect, 'taken') === null ? effect : null) }) : hosted)

/** A hand-off leaves out the last token of each choice. */
const shortCommit: MakeMutation = () => (hosted) => {
  if (!isInstance(hosted)) return hosted
  return changed(hosted, {
    wish: (effect) => {
      const message = said(effect, 'hand-off')
      if (message === null) return effect
      const sequences = message.sequences.map((sequence) => ({ ...sequence, tokenIds: sequence.tokenIds.slice(0, -1) }))
      return { ...effect, payload: { ...message, sequences } } as Effect
    },
  })
}

/** Tokens behind an accepted draft are counted one too far: the second of each run is missing. */
const offByOneInRun: MakeMutation = () => (hosted) => {
  if (!isInstance(hosted)) return hosted
  return changed(hosted, {
    wish: (effect) => {
      const message = said(effect, 'tokens')
      if (message === null) return effect
      const runs = message.runs.map((run) => (run.tokenIds.length < 2 || run.firstIndex < 3 ? run : { ...run, tokenIds: [run.tokenIds[0]!, ...run.tokenIds.slice(2)] }))
      return { ...effect, payload: { ...message, runs } } as Effect
    },
  })
}

/** KV that was damaged on its way is installed. */
const uncheckedTransfer: MakeMutation = () => (hosted) => {
  if (!isInstance(hosted)) return hosted
  const effects = changedPort(hosted.effects, 'kv-pull', {
    outcome: (outcome) => {
      if (outcome.kind !== 'done') return outcome
      const pulled = outcome.value as KvPulled
      const bytes = pulled.bytes.slice()
      bytes[0]! ^= 1
      return { ...outcome, value: { ...pulled, bytes } }
    },
  })
  return { actor: hosted.actor, effects }
}

/** Draft trees are not charged to the step's budget: a step carries a second helping of cells. */
const secondLedger: MakeMutation = () => (hosted) => {
  if (!isInstance(hosted)) return hosted
  return changed(hosted, {
    wish: (effect) => {
      if (effect.kind !== 'engine' || (effect as EngineEffect).command.kind !== 'step') return effect
      const command = (effect as EngineEffect).command as StepCommand
      return { ...effect, command: { ...command, cells: [...command.cells, ...command.cells, ...command.cells] } } as Effect
    },
  })
}

export const MUTATIONS = {
  'skipped epoch check': skippedEpochCheck,
  'double free': doubleFree,
  'lost dispatch': lostDispatch,
  'lost abort': lostAbort,
  'ignored lease': ignoredLease,
  'dropped commit reply': droppedCommitReply,
  'off by one in a commit': shortCommit,
  'off by one in a run': offByOneInRun,
  'unchecked transfer': uncheckedTransfer,
  'second ledger': secondLedger,
} satisfies Readonly<Record<string, MakeMutation>>

export type MutationName = keyof typeof MUTATIONS
