// The model that a swarm serves: small blocks and short cells, so that little work meets many boundaries.
import type { EngineShape } from '@rubato/model'

/** numBlocks is each instance's own. */
export const SWARM_SHAPE: EngineShape = {
  modelFingerprint: 'swarm', blockSize: 4, cellTokens: 8, numBlocks: 64, blockBytes: 1024, vocabSize: 1000, maxModelLen: 256, eosTokenIds: [0], replay: 'cells',
}
