// What every process has: an end, a log, traces, a configuration file.
import { always, flag } from '../flags/flag.ts'
import { choice, file, matching, orWord, seconds } from '../flags/value-schemas.ts'

export const PROCESS_FLAGS = {
  'shutdown-timeout': flag({ group: 'Overload and shutdown', help: 'seconds that running requests get to finish on SIGTERM', placeholder: 'S', schema: seconds(), fallback: 30 }),
  config: flag({ group: 'Configuration, logs and traces', help: 'YAML file with any of these flags, without the dashes', placeholder: 'FILE', schema: file(), fallback: null, defaultText: './rubato.yaml where it exists', isPath: always }),
  'log-level': flag({ group: 'Configuration, logs and traces', help: 'trace|debug|info|warn|error|silent', placeholder: 'LEVEL', schema: choice(['trace', 'debug', 'info', 'warn', 'error', 'silent']), fallback: 'info' }),
  'otlp-traces-endpoint': flag({ group: 'Configuration, logs and traces', help: 'where spans are sent (OTLP over HTTP, e.g. http://127.0.0.1:4318/v1/traces)', placeholder: 'URL', schema: orWord('none', matching(/^https?:\/\/\S+$/, 'must be an http:// or https:// URL')), fallback: null, defaultText: 'none, or the standard OTEL_* variables' }),
} as const
