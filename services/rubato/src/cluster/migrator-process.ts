// `rubato migrator`: hands the service what only this package knows.
import type { MigratorProcessConfig } from '@rubato/config'
import { runMigrator } from '@rubato/service-migrator'
import { createLogger } from '../logging.ts'

/** Resolves with the process's exit code. Rejects when it could not start. */
export function runMigratorProcess(config: MigratorProcessConfig): Promise<number> {
  return runMigrator(config, { log: createLogger(config.logLevel), print: (line) => void process.stdout.write(`${line}\n`) })
}
