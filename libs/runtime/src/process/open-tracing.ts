// The export of a process's spans, as its configuration says; at debug level each is a line of the log too.
import type { SpanRecord } from '@rubato/actor'
import type { TracingSettings } from '@rubato/config'
import { startTracing } from '@rubato/telemetry'
import type { Tracing } from '@rubato/telemetry'
import type { ProcessLog } from './process-log.ts'

/** null: no spans leave the process. `service` is what the process is: `router`, `decode`. */
export function openTracing(settings: TracingSettings | null, service: string, instanceId: string, log: ProcessLog): Tracing | null {
  if (settings === null) return null
  const { serviceName, ...rest } = settings
  const onSpan = (span: SpanRecord): void => {
    const { name, startMs, endMs, attributes, error } = span
    log.debug({ trace: span, durationMs: endMs - startMs, ...attributes, ...(error === null ? {} : { error }) }, name)
  }
  return startTracing({ ...rest, serviceName: serviceName ?? `rubato-${service}`, instanceId, onSpan, onProblem: (message) => log.warn({}, message) })
}
