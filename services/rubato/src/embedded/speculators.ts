// The speculators of one process: a draft model each, on a thread of its own, that all its instances share.
import type { ServeConfig } from '@rubato/config'
import { processDrafts } from '@rubato/runtime'
import type { InstanceDrafts, LiveShell } from '@rubato/runtime'
import { DraftEngine, hostSpeculator } from '@rubato/service-speculator'
import type { Logger } from 'pino'

export interface SpeculatorParts {
  readonly shell: LiveShell
  readonly log: Logger
  readonly vocabulary: string
  readonly vocabSize: number
}

/** Opens them; null: there are none. Rejects as DraftEngine.open does. */
export async function openSpeculators({ numSpeculators, speculation: { draftDir }, maxModelLen, blockSize, kvCacheBytes, intraOpThreads }: ServeConfig, { shell, log, vocabulary, vocabSize }: SpeculatorParts, closers: (() => Promise<unknown>)[]): Promise<InstanceDrafts | null> {
  if (numSpeculators === 0 || draftDir === null) return null
  const addresses = Array.from({ length: numSpeculators }, (_, index) => `speculator/s${index + 1}`)
  for (const address of addresses) {
    const onDeath = (error: Error, isLast: boolean): void => log.error({ err: error, speculator: address }, isLast ? 'the draft model cannot be brought back: nothing is drafted by this speculator any more' : 'the draft model died; it is being opened again')
    const engine = await DraftEngine.open({ modelDir: draftDir, vocabSize, blockSize, kvCacheBytes, intraOpThreads, maxModelLen: maxModelLen ?? Number.MAX_SAFE_INTEGER, onDeath })
    closers.push(() => engine.close())
    const host = hostSpeculator({ shell, address, config: { vocabulary, vocabSize }, engine })
    closers.push(() => host.stop())
  }
  return processDrafts(shell.bus, { vocabulary, speculators: addresses })
}
