// The prefill service: an instance whose first duty is prompts. What it does is libs/instance; how it lives is libs/runtime.
import type { InstanceProcessConfig } from '@rubato/config'
import { runInstanceProcess } from '@rubato/runtime'
import type { InstanceProcessParts } from '@rubato/runtime'

/** Serves until the process is told to end. Resolves with its exit code; rejects when it could not start. */
export function runPrefill(config: InstanceProcessConfig, parts: Omit<InstanceProcessParts, 'service'>): Promise<number> {
  return runInstanceProcess(config, { ...parts, service: 'prefill' })
}
