// Runs all policies side by side: per batch and temperature every policy decodes the same requests in every round, in an order
// that rotates, so that drift of the machine hits all of them alike. The first round warms up and is not counted.
import type { Engine, SamplingParams } from '@rubato/model'
import type { SpeculationOptions, StepCostModel } from '@rubato/policy'
import { randomStream } from '@rubato/sim'
import type { RandomStream } from '@rubato/sim'
import { LentEngine } from './lent-engine.ts'
import { PolicyInstance } from './policy-instance.ts'
import type { PolicySample, PromptedRequest } from './policy-instance.ts'

export interface SpeculationPlan {
  readonly policies: readonly string[]
  readonly speculation: SpeculationOptions
  readonly batches: readonly number[]
  readonly temperatures: readonly number[]
  readonly rounds: number
  /** Tokens of every request. */
  readonly tokens: number
  readonly seed: number
  readonly costModel: StepCostModel
  /** Draws the next prompt. */
  readonly nextPrompt: () => readonly number[]
  readonly onProgress: (text: string) => void
  /** A load is done. */
  readonly onLoad: (load: LoadRounds) => void
}

/** Samples of one policy at one load: one per counted round, in step with those of the others. */
export interface PolicyRounds {
  readonly policy: string
  readonly samples: readonly PolicySample[]
}

export interface LoadRounds {
  readonly batch: number
  readonly temperature: number
  readonly policies: readonly PolicyRounds[]
}

export async function measurePolicies(engine: Engine, plan: SpeculationPlan): Promise<LoadRounds[]> {
  const loads: LoadRounds[] = []
  for (const batch of plan.batches) {
    for (const temperature of plan.temperatures) {
      const load = { batch, temperature, policies: await measureLoad(engine, plan, { batch, temperature }) }
      plan.onLoad(load)
      loads.push(load)
    }
  }
  return loads
}

async function measureLoad(engine: Engine, plan: SpeculationPlan, { batch, temperature }: { readonly batch: number; readonly temperature: number }): Promise<PolicyRounds[]> {
  const random = randomStream(plan.seed, `batch ${batch}, temperature ${temperature}`)
  const measured: { readonly policy: string; readonly instance: PolicyInstance; readonly samples: PolicySample[] }[] = []
  try {
    for (const policy of plan.policies) {
      const instance = await PolicyInstance.start(new LentEngine(engine), { policy, speculation: plan.speculation, costModel: plan.costModel, maxNumSeqs: batch })
      measured.push({ policy, instance, samples: [] })
    }
    for (let round = 0; round <= plan.rounds; round += 1) {
      const requests = Array.from({ length: batch }, () => drawRequest(plan, temperature, random))
      plan.onProgress(`batch ${batch}, temperature ${temperature}: ${round === 0 ? 'warming up' : `round ${round} of ${plan.rounds}`}`)
      for (let turn = 0; turn < measured.length; turn += 1) {
        const { instance, samples } = measured[(round + turn) % measured.length]!
        const sample = await instance.run(requests)
        if (round > 0) samples.push(sample)
      }
    }
  } finally {
    for (const { instance } of measured) await instance.close()
  }
  return measured.map(({ policy, samples }) => ({ policy, samples }))
}

function drawRequest({ nextPrompt, tokens }: SpeculationPlan, temperature: number, random: RandomStream): PromptedRequest {
  const sampling: SamplingParams = {
    maxTokens: tokens, minTokens: 0, temperature, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1, logitBias: [],
    seed: random.int(2 ** 31), stopTokenIds: [], ignoreEos: true, logprobs: null,
  }
  return { promptIds: nextPrompt(), sampling }
}
