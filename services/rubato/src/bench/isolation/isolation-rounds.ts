// A fixed batch decodes on one instance; the cases differ in where long prompts are computed meanwhile. Cases take turns, and
// every round begins anew with short contexts, so that all cases see the same contexts.
//
//   none           no prompts
//   elsewhere      at the prefill instance, which also keeps them: what sharing the machine costs
//   disaggregated  at the prefill instance; the measured one pulls and installs their KV and decodes their second, last token
//   colocated      at the measured instance itself
import { RubatoError } from '@rubato/config'
import type { RandomStream } from '@rubato/sim'
import type { InstanceName, IsolationCluster, SentPrompt } from './isolation-cluster.ts'
import type { RecordedStep } from './step-recorder.ts'

export const CASES = ['none', 'elsewhere', 'disaggregated', 'colocated'] as const
export type IsolationCase = (typeof CASES)[number]

export interface IsolationPlan {
  /** Requests that decode throughout. */
  readonly streams: number
  /** Steps with decodes to be measured per case, at least. */
  readonly steps: number
  readonly promptTokens: number
  /** A long prompt arrives whenever each stream has emitted this many tokens more. */
  readonly stepsPerPrompt: number
  /** Tokens of each stream in one round. */
  readonly roundTokens: number
}

/** Steps with decodes of one case in one round, in order. */
export type Round = readonly RecordedStep[]

const STREAM_PROMPT_TOKENS = 16
/** The first at the end of the prompt, the second where the request is decoded. */
const PROMPT_OUTPUT_TOKENS = 2

/** Who gets no new work while the streams run. */
const LEFT_OUT: Readonly<Record<IsolationCase, InstanceName | null>> = { none: null, elsewhere: 'd1', disaggregated: null, colocated: 'p1' }

export function promptOf(random: RandomStream, length: number): number[] {
  return Array.from({ length }, () => 300 + random.int(600))
}

async function runRound(cluster: IsolationCluster, which: IsolationCase, plan: IsolationPlan, random: RandomStream): Promise<Round> {
  const { streams, promptTokens, stepsPerPrompt, roundTokens } = plan
  const prompts: SentPrompt[] = []
  const started = Promise.withResolvers<void>()
  let emitted = 0
  let isMeasured = false
  const onTokens = (count: number): void => {
    emitted += count
    if (!isMeasured || which === 'none') return
    while (prompts.length * stepsPerPrompt * streams <= emitted) prompts.push(cluster.send(promptOf(random, promptTokens), PROMPT_OUTPUT_TOKENS))
  }
  const running = Array.from({ length: streams }, () =>
    cluster.send(promptOf(random, STREAM_PROMPT_TOKENS), roundTokens, (count) => {
      onTokens(count)
      if (!isMeasured && running.every(({ numTokens }) => numTokens() >= 2)) started.resolve()
    }))
  const firstEnd = Promise.race(running.map(({ ended }) => ended))
  await Promise.race([started.promise, firstEnd])
  await cluster.leaveOut(LEFT_OUT[which])
  emitted = 0
  isMeasured = true
  cluster.recorder.begin()
  await firstEnd
  const steps = cluster.recorder.end()
  isMeasured = false
  await Promise.all([...running, ...prompts].map(({ ended }) => ended))
  await cluster.leaveOut(null)
  await cluster.idle()
  return steps.filter(({ numDecodes }) => numDecodes >= streams)
}

const MAX_ATTEMPTS = 4

/** On a machine too busy for leases to be renewed a round may be lost; it is run again. */
async function runWholeRound(cluster: IsolationCluster, which: IsolationCase, plan: IsolationPlan, { random, onProgress }: { readonly random: RandomStream; readonly onProgress: (line: string) => void }): Promise<Round> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await runRound(cluster, which, plan, random)
    } catch (error) {
      if (attempt === MAX_ATTEMPTS || !(error instanceof RubatoError) || error.code !== 'unavailable') throw error
      onProgress(`a round of ${which} was lost, and is run again: ${error.message}`)
      cluster.recorder.end()
      await cluster.leaveOut(null)
      await cluster.idle()
    }
  }
}

/** Rounds of every case, as many of each, until each has its steps. Rejects when a request fails. */
export async function runRounds(cluster: IsolationCluster, plan: IsolationPlan, random: RandomStream, onProgress: (line: string) => void): Promise<Readonly<Record<IsolationCase, readonly Round[]>>> {
  const rounds: Record<IsolationCase, Round[]> = { none: [], elsewhere: [], disaggregated: [], colocated: [] }
  const numSteps = (which: IsolationCase): number => rounds[which].reduce((sum, round) => sum + atBatch(round, plan.streams).length, 0)
  await runWholeRound(cluster, 'disaggregated', plan, { random, onProgress })
  for (let turn = 0; CASES.some((which) => numSteps(which) < plan.steps); turn++) {
    // Another order every time: whatever one case leaves behind meets all others.
    for (let place = 0; place < CASES.length; place++) {
      const which = CASES[(turn + place) % CASES.length]!
      rounds[which].push(await runWholeRound(cluster, which, plan, { random, onProgress }))
    }
    onProgress(`round ${turn + 1}: ${CASES.map((which) => `${which} ${numSteps(which)}`).join(', ')} of ${plan.steps} steps`)
  }
  return rounds
}

/** Steps whose decodes are the streams alone: the same batch in every case. */
export function atBatch(round: Round, streams: number): Round {
  return round.filter(({ numDecodes }) => numDecodes === streams)
}
