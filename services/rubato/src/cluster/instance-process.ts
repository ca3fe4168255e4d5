// `rubato prefill` and `rubato decode`: hands the services what only this package knows.
import type { InstanceProcessConfig } from '@rubato/config'
import { runDecode } from '@rubato/service-decode'
import { runPrefill } from '@rubato/service-prefill'
import { createLogger } from '../logging.ts'
import { openSynthetic } from './model-identity.ts'

const SERVICES = { prefill: runPrefill, decode: runDecode } as const

/** Resolves with the process's exit code. Rejects when it could not start. */
export function runInstance(config: InstanceProcessConfig, service: keyof typeof SERVICES): Promise<number> {
  const print = (line: string): void => void process.stdout.write(`${line}\n`)
  return SERVICES[service](config, { log: createLogger(config.logLevel), print, openSpecial: openSynthetic })
}
