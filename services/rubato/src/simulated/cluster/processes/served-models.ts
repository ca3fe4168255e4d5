// What routers of a simulated cluster serve: the models of its instances, with the simulation's texts.
import { validateSampling } from '@rubato/model/sampling'
import { ROUTER_TIMING } from '@rubato/service-router/actor'
import type { RouterParts, ServedModel, TextStreams } from '@rubato/service-router'
import type { SimClusterOptions } from '../options.ts'

const DEFAULT_QUEUE_SIZE = 10_000
const DEFAULT_QUEUE_TIMEOUT_MS = 1e9
const DEFAULT_MIGRATION_LIMIT = 3

/** Each token is a word of its own, so that stop strings can hit and text can be compared. */
const WORDS: TextStreams = {
  detokenizer: () => ({ push: (tokenIds) => Array.from(tokenIds, (id) => ` ${id}`).join(''), flush: () => '' }),
  stopMatcher: (stops) => {
    let text = ''
    return {
      push(delta) {
        text += delta
        return { emit: delta, stopped: stops.find((stop) => text.includes(stop)) ?? null }
      },
      flush: () => '',
    }
  },
  tokenBytes: (tokenId) => Buffer.from(` ${tokenId}`),
}

/** Tokens without text: stop strings never hit. */
const NO_TEXT: TextStreams = {
  detokenizer: () => ({ push: () => '', flush: () => '' }),
  stopMatcher: () => ({ push: () => ({ emit: '', stopped: null }), flush: () => '' }),
  tokenBytes: () => new Uint8Array(0),
}

/** Parts of every router. A model's id is its fingerprint. */
export function routerParts({ instances, engine, dispatch, admission = {} }: SimClusterOptions): RouterParts {
  const { maxConcurrentRequests = null, queueSize = DEFAULT_QUEUE_SIZE, queueTimeoutMs = DEFAULT_QUEUE_TIMEOUT_MS, migrationLimit = DEFAULT_MIGRATION_LIMIT } = admission
  const models = new Map<string, ServedModel>()
  for (const { shape } of instances) {
    const { modelFingerprint, vocabSize, eosTokenIds } = shape
    const maxModelLen = Math.min(shape.maxModelLen, models.get(modelFingerprint)?.maxModelLen ?? Infinity)
    models.set(modelFingerprint, {
      id: modelFingerprint, fingerprint: modelFingerprint, maxModelLen, vocabSize, eosTokenIds, createdS: 0,
      defaults: { temperature: null, topP: null, topK: null }, text: engine === 'checked' ? WORDS : NO_TEXT,
    })
  }
  const config = { maxConcurrentRequests, queueSize, queueTimeoutMs, migrationLimit, helloTo: [], timing: ROUTER_TIMING, dispatch }
  return { config, models: [...models.values()], validateSampling }
}
