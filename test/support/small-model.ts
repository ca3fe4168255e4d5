// A checkpoint that computes next to nothing, so that tests of a whole cluster are about the cluster: its tokenizer is the
// bundled model's, its blocks and cells are small, so that every prompt is several of both.
import type { TestContext } from 'node:test'
import type { ServeConfig } from '@rubato/config'
import { temporaryFolder, writeTinyCheckpoint } from '@rubato/testing'

export interface SmallModel {
  /** For processes. */
  readonly flags: readonly string[]
  /** For an embedded cluster of the same model. */
  readonly config: Partial<ServeConfig>
}

export function smallModel(t: Pick<TestContext, 'after'>): SmallModel {
  const modelDir = writeTinyCheckpoint(temporaryFolder(t), { tokenizer: true })
  return {
    flags: ['--model', modelDir, '--max-model-len', '1024', '--block-size', '16', '--prefill-cell-tokens', '32'],
    config: { modelDir, maxModelLen: 1024, blockSize: 16, prefillCellTokens: 32 },
  }
}
