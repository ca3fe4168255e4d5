// From flags, environment and file to the one record that a command runs on. Each function throws InvalidArgument whose
// field is the flag's name (or the unknown name as written) and whose message says where the value came from and what to do.
import { InvalidArgument } from '../errors.ts'
import type { FlagValues } from '../flags/flag.ts'
import type { COUNT_FLAGS } from '../groups/cluster-flags.ts'
import type { ClusterSettings, InstanceProcessConfig, MigratorProcessConfig, RouterProcessConfig, ServeConfig, SpeculatorProcessConfig } from '../settings/settings.ts'
import { draftListenerSettings, kvSettings, natsSettings } from '../settings/cluster-settings.ts'
import { INSTANCE_FLAGS, MIGRATOR_FLAGS, ROUTER_FLAGS, SERVE_FLAGS, SPECULATOR_FLAGS } from './command-flags.ts'
import { doorSettings, processSettings } from '../settings/door-settings.ts'
import { defaultInstanceId } from '../sources/machine.ts'
import { checkCells, checkStepSizes, engineChoice, engineSettings, machineShare, modelDirOf, modelSettings, routingSettings, schedulingSettings } from '../settings/model-settings.ts'
import { draftDirOf } from '../settings/speculation-settings.ts'
import { readValues } from '../sources/read-values.ts'
import type { ConfigSources, ReadValues } from '../sources/read-values.ts'

export function resolveServeConfig(sources: ConfigSources): ServeConfig {
  const read = readValues(SERVE_FLAGS, sources)
  const { values, originOf } = read
  checkStepSizes(values, originOf)
  const counts = instanceCounts(values)
  const scheduling = schedulingSettings(values, sources, originOf)
  checkSpeculators(read, scheduling.speculation.draftDir)
  return {
    ...modelSettings(values, sources),
    ...engineSettings(values, sources, counts.numPrefill + counts.numDecode + counts.numMixed + values.speculators),
    ...scheduling,
    ...routingSettings(values),
    ...doorSettings(values, originOf),
    ...processSettings(values, sources.env),
    ...counts,
    numSpeculators: values.speculators,
    link: linkOf(read, sources),
  }
}

export function resolveRouterConfig(sources: ConfigSources): RouterProcessConfig {
  const { values, originOf } = readValues(ROUTER_FLAGS, sources)
  checkCells(values, originOf)
  return {
    ...modelSettings(values, sources),
    ...routingSettings(values),
    ...doorSettings(values, originOf),
    ...processSettings(values, sources.env),
    instanceId: values['instance-id'] ?? defaultInstanceId('router', sources.machine),
    nats: natsSettings(values.nats, values, originOf),
    instanceCpu: values['instance-cpu'],
  }
}

export function resolveMigratorConfig(sources: ConfigSources): MigratorProcessConfig {
  const { values, originOf } = readValues(MIGRATOR_FLAGS, sources)
  return {
    ...processSettings(values, sources.env),
    instanceId: values['instance-id'] ?? defaultInstanceId('migrator', sources.machine),
    nats: natsSettings(values.nats, values, originOf),
    host: values.host,
    metricsPort: values['metrics-port'],
  }
}

/** `role` is what the command stands for, used when --role says nothing else. */
export function resolveInstanceConfig(sources: ConfigSources, role: 'prefill' | 'decode'): InstanceProcessConfig {
  const { values, originOf } = readValues(INSTANCE_FLAGS, sources)
  checkStepSizes(values, originOf)
  const kv = kvSettings(values, sources.machine, originOf)
  const metricsPort = values['metrics-port']
  if (metricsPort !== null && metricsPort !== 0 && metricsPort === kv.port) {
    throw new InvalidArgument('metrics-port', `${metricsPort} (${originOf('metrics-port')}) is also the KV port (${originOf('kv-port')}); choose two different ports`)
  }
  return {
    ...modelSettings(values, sources),
    ...engineSettings(values, sources, 1),
    ...schedulingSettings(values, sources, originOf),
    ...processSettings(values, sources.env),
    instanceId: values['instance-id'] ?? defaultInstanceId(role, sources.machine),
    nats: natsSettings(values.nats, values, originOf),
    role: values.role ?? role,
    kv,
    metricsPort,
  }
}

export function resolveSpeculatorConfig(sources: ConfigSources): SpeculatorProcessConfig {
  const { values, originOf } = readValues(SPECULATOR_FLAGS, sources)
  const { machine, env } = sources
  const listener = draftListenerSettings(values, machine, originOf)
  const metricsPort = values['metrics-port']
  if (metricsPort !== null && metricsPort !== 0 && metricsPort === listener.port) {
    throw new InvalidArgument('metrics-port', `${metricsPort} (${originOf('metrics-port')}) is also the draft port (${originOf('draft-port')}); choose two different ports`)
  }
  const modelDir = modelDirOf(values.model, machine)
  const draftDir = draftDirOf(values.draft, modelDir, machine.repoRoot)
  if (draftDir === null) throw new InvalidArgument('draft', `is needed: the directory of a small model with the tokenizer of ${modelDir}`)
  return {
    ...processSettings(values, env),
    instanceId: values['instance-id'] ?? defaultInstanceId('speculator', machine),
    nats: natsSettings(values.nats, values, originOf),
    ...machineShare(values, sources, 1),
    engine: engineChoice(values.engine),
    modelDir, draftDir, listener, metricsPort,
    maxModelLen: values['max-model-len'],
    blockSize: values['block-size'],
  }
}

/** Speculators of one process are of use to its instances alone. */
function checkSpeculators({ values, originOf }: ReadValues<typeof SERVE_FLAGS>, draftDir: string | null): void {
  if (values.speculators === 0) return
  const given = `${values.speculators} (${originOf('speculators')})`
  if (values.nats !== null) throw new InvalidArgument('speculators', `${given} cannot be had together with --nats: run \`rubato speculator\` beside this process`)
  if (draftDir === null) throw new InvalidArgument('speculators', `${given} need a draft model: name its directory with --draft, and leave --speculation on`)
}

function instanceCounts(values: FlagValues<typeof COUNT_FLAGS>): Pick<ServeConfig, 'numPrefill' | 'numDecode' | 'numMixed'> {
  const { prefill: numPrefill, decode: numDecode } = values
  const numMixed = values.mixed ?? (numPrefill + numDecode === 0 ? 1 : 0)
  if (numPrefill + numDecode + numMixed === 0) throw new InvalidArgument('mixed', 'is 0, and so are --prefill and --decode; at least one instance is needed')
  return { numPrefill, numDecode, numMixed }
}

function linkOf({ values, originOf }: ReadValues<typeof SERVE_FLAGS>, { machine }: ConfigSources): ServeConfig['link'] {
  if (values.nats === null) return null
  const cluster: ClusterSettings = { instanceId: values['instance-id'] ?? defaultInstanceId('serve', machine), nats: natsSettings(values.nats, values, originOf) }
  return { ...cluster, kv: kvSettings(values, machine, originOf) }
}
