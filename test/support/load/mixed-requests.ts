// Requests as a busy cluster gets them: every length, greedy and sampled, several choices, stop strings, penalties,
// logprobs and shared prefixes, by each of the doors. The tokens of each are settled by what it says: seeds are given.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { SeededRandom } from '@rubato/testing'
import { TARGET_DIR } from '../cluster.ts'

export type Door = 'events' | 'json' | 'grpc'

/** Sampling fields as both doors name them. */
export interface AskedSampling {
  readonly max_tokens: number
  readonly temperature: number
  readonly seed: number
  readonly n: number
  readonly ignore_eos: boolean
  readonly top_p?: number
  readonly top_k?: number
  readonly min_p?: number
  readonly presence_penalty?: number
  readonly frequency_penalty?: number
  readonly repetition_penalty?: number
  readonly stop?: readonly string[]
  /** Alternatives beside each token. */
  readonly logprobs?: number
}

export interface AskedRequest {
  readonly door: Door
  readonly prompt: string
  readonly cacheSalt: string
  readonly sampling: AskedSampling
}

export interface MixOptions {
  readonly numRequests: number
  readonly maxTokens: { readonly least: number; readonly most: number }
}

const TEXT_FILE = path.resolve(TARGET_DIR, '../../tools/train/data/input.txt')
const DOORS: readonly Door[] = ['events', 'json', 'grpc']
const STOPS: readonly (readonly string[])[] = [['\n\n'], ['th', ':'], ['ing', 'ou', '?']]
/** Characters, about two to a token: with the longest of their own, prompts stay below 900 tokens. */
const SHARED_CHARS = [300, 600, 900]
const NUM_SALTED = 7

/** Equal streams give equal requests. */
export function mixedRequests(random: SeededRandom, { numRequests, maxTokens }: MixOptions): readonly AskedRequest[] {
  const play = readFileSync(TEXT_FILE, 'utf8')
  const passage = (numChars: number): string => {
    const at = random.int(play.length - numChars)
    return play.slice(at, at + numChars)
  }
  const shared = SHARED_CHARS.map(passage)
  const between = (least: number, most: number): number => least + random.int(most - least + 1)
  return Array.from({ length: numRequests }, (_, index) => {
    const own = passage(random.int(3) === 0 ? between(200, 700) : between(8, 120))
    return {
      door: DOORS[index % DOORS.length]!,
      prompt: random.int(3) === 0 ? random.pick(shared) + own : own,
      cacheSalt: index % NUM_SALTED === 0 ? 'salted' : '',
      sampling: { max_tokens: between(maxTokens.least, maxTokens.most), seed: random.int(2 ** 31), ...choices(random), ...temper(random), ...extras(random) },
    }
  })
}

function choices(random: SeededRandom): Pick<AskedSampling, 'n' | 'ignore_eos'> {
  return { n: random.pick([1, 1, 1, 2, 3]), ignore_eos: random.int(2) === 0 }
}

function temper(random: SeededRandom): Pick<AskedSampling, 'temperature' | 'top_p' | 'top_k' | 'min_p'> {
  return random.pick([{ temperature: 0 }, { temperature: 1 }, { temperature: 0.7, top_p: 0.9 }, { temperature: 1.2, top_k: 20 }, { temperature: 0.9, min_p: 0.05 }])
}

function extras(random: SeededRandom): Partial<AskedSampling> {
  return {
    ...(random.int(4) === 0 ? { stop: random.pick(STOPS) } : {}),
    ...(random.int(4) === 0 ? { presence_penalty: 0.6, frequency_penalty: 0.3 } : {}),
    ...(random.int(6) === 0 ? { repetition_penalty: 1.2 } : {}),
    ...(random.int(4) === 0 ? { logprobs: random.int(4) } : {}),
  }
}
