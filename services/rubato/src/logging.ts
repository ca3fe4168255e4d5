// The process's logger: pino JSON lines on stderr, in readable form when stderr is a terminal. stdout stays free for results.
import { createRequire } from 'node:module'
import type { LogLevel } from '@rubato/config'
import { pino } from 'pino'
import type { DestinationStream, Logger } from 'pino'
import type * as PinoPretty from 'pino-pretty'

const STDERR = 2

/**
 * A line that carries a `trace` (TraceContext, or null) says it under the names that trace viewers look for. pino leaves out
 * what a serializer makes undefined, so the value itself does not appear.
 */
const TRACE_IDS = {
  mixin: (fields: object): object => {
    const trace = 'trace' in fields ? fields.trace : null
    if (typeof trace !== 'object' || trace === null || !('traceId' in trace) || !('spanId' in trace)) return {}
    return { trace_id: trace.traceId, span_id: trace.spanId }
  },
  serializers: { trace: () => undefined },
}

/** Loaded only for a terminal: it takes longer to load than pino itself. */
function prettyStream(): DestinationStream {
  const { build } = createRequire(import.meta.url)('pino-pretty') as typeof PinoPretty
  return build({ destination: STDERR, sync: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' })
}

/** A logger for this process. Lines that carry a `trace` name it by trace_id and span_id. Lines are written at once, so that none is lost when the process ends. */
export function createLogger(level: LogLevel, pretty: boolean = process.stderr.isTTY): Logger {
  return pino({ level, ...TRACE_IDS }, pretty ? prettyStream() : pino.destination({ dest: STDERR, sync: true }))
}
