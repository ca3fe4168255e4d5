// `rubato speculator`: hands the service what only this package knows.
import type { SpeculatorProcessConfig } from '@rubato/config'
import { runSpeculator } from '@rubato/service-speculator'
import { createLogger } from '../logging.ts'

/** Resolves with the process's exit code. Rejects when it could not start. */
export async function runSpeculatorProcess(config: SpeculatorProcessConfig): Promise<number> {
  const synthetic = config.engine.kind === 'onnx' ? null : await import('./synthetic-drafter.ts')
  return runSpeculator(config, {
    log: createLogger(config.logLevel),
    print: (line) => void process.stdout.write(`${line}\n`),
    openSpecial: (_, vocabSize) => synthetic?.syntheticDrafter(vocabSize) ?? null,
  })
}
