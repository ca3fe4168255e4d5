// Values of the server and process groups as settings. Nothing that others can reach is open unless that is said.
import { InvalidArgument } from '../errors.ts'
import type { FlagValues } from '../flags/flag.ts'
import type { DOOR_FLAGS, HOST_FLAGS } from '../groups/door-flags.ts'
import type { PROCESS_FLAGS } from '../groups/process-flags.ts'
import type { DoorSettings, ProcessSettings, TlsPaths, TracingSettings } from './settings.ts'
import { isLoopback } from '../sources/machine.ts'
import type { OriginOf } from '../sources/read-values.ts'
import type { FlagSources } from '../sources/sources.ts'

type DoorValues = FlagValues<typeof HOST_FLAGS & typeof DOOR_FLAGS>

export function doorSettings(values: DoorValues, originOf: OriginOf): DoorSettings {
  checkPorts(values, originOf)
  if (!isLoopback(values.host) && values['api-key'] === null && !values.insecure) {
    throw new InvalidArgument('host', `${values.host} (${originOf('host')}) can be reached by others; set --api-key KEY, or --insecure to serve without one`)
  }
  return {
    host: values.host,
    insecure: values.insecure,
    httpPort: values.port,
    grpcPort: values['grpc-port'],
    adminPort: values['admin-port'],
    apiKey: values['api-key'],
    tls: tlsOf(values, originOf),
  }
}

function checkPorts(values: DoorValues, originOf: OriginOf): void {
  const ports = [['port', 'the HTTP port'], ['grpc-port', 'the gRPC port'], ['admin-port', 'the admin port']] as const
  for (const [index, [name]] of ports.entries()) {
    const clash = ports.slice(0, index).find(([other]) => values[name] !== null && values[name] !== 0 && values[other] === values[name])
    if (clash === undefined) continue
    throw new InvalidArgument(name, `${values[name]} (${originOf(name)}) is also ${clash[1]} (${originOf(clash[0])}); choose two different ports`)
  }
}

function tlsOf(values: DoorValues, originOf: OriginOf): TlsPaths | null {
  for (const [has, needs] of [['ssl-certfile', 'ssl-keyfile'], ['ssl-keyfile', 'ssl-certfile'], ['ssl-ca-certs', 'ssl-certfile']] as const) {
    if (values[has] !== null && values[needs] === null) throw new InvalidArgument(needs, `is missing, but --${has} is given (${originOf(has)}); TLS needs --ssl-certfile and --ssl-keyfile`)
  }
  const certFile = values['ssl-certfile']
  const keyFile = values['ssl-keyfile']
  return certFile === null || keyFile === null ? null : { certFile, keyFile, caFile: values['ssl-ca-certs'] }
}

export function processSettings(values: FlagValues<typeof PROCESS_FLAGS>, env: FlagSources['env']): ProcessSettings {
  return { shutdownTimeoutMs: values['shutdown-timeout'] * 1000, logLevel: values['log-level'], tracing: tracingOf(values['otlp-traces-endpoint'], env) }
}

/** The flag, else the standard variables of OpenTelemetry. */
function tracingOf(given: string | null, env: FlagSources['env']): TracingSettings | null {
  const common = env['OTEL_EXPORTER_OTLP_ENDPOINT'] || null
  const endpoint = given ?? (env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || (common === null ? null : `${common.replace(/\/$/, '')}/v1/traces`))
  if (endpoint === null || env['OTEL_SDK_DISABLED'] === 'true' || (given === null && env['OTEL_TRACES_EXPORTER'] === 'none')) return null
  return {
    endpoint,
    headers: pairsOf(env['OTEL_EXPORTER_OTLP_TRACES_HEADERS'] ?? env['OTEL_EXPORTER_OTLP_HEADERS'] ?? ''),
    serviceName: env['OTEL_SERVICE_NAME'] || null,
    resourceAttributes: pairsOf(env['OTEL_RESOURCE_ATTRIBUTES'] ?? ''),
    sampleRatio: sampleRatioOf(env),
  }
}

/** `name=value,name=value`, values percent-encoded. */
function pairsOf(text: string): Record<string, string> {
  const pairs = text.split(',').map((pair) => /^\s*([^=\s]+)\s*=(.*)$/.exec(pair))
  return Object.fromEntries(pairs.flatMap((pair) => (pair === null ? [] : [[pair[1]!, decoded(pair[2]!.trim())]])))
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function sampleRatioOf(env: FlagSources['env']): number {
  const sampler = env['OTEL_TRACES_SAMPLER'] ?? ''
  if (sampler.endsWith('always_off')) return 0
  if (!sampler.endsWith('traceidratio')) return 1
  const ratio = Number(env['OTEL_TRACES_SAMPLER_ARG'] ?? '1')
  if (ratio >= 0 && ratio <= 1) return ratio
  throw new InvalidArgument('OTEL_TRACES_SAMPLER_ARG', 'must be a number from 0 to 1')
}
