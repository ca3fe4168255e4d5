// `rubato router`: a router as a process of its own, from NATS to exit code 0 after a drain.
//
//   load the tokenizer ──> open doors ──> join ──> ready ──SIGTERM──> finish streams ──> give the lease back ──> exit 0
import type { RouterProcessConfig } from '@rubato/config'
import { EndOfProcess, LiveShell, MemberDirectory, openNats, openTracing } from '@rubato/runtime'
import type { Logger } from 'pino'
import { createLogger } from '../logging.ts'
import { version } from '../version.ts'
import { addressesOf } from './front-doors.ts'
import { modelIdentity } from './model-identity.ts'
import { RouterMember } from './router-member.ts'
import { RouterService } from './router-service.ts'
import { loadModelText, servedModel } from './served-model.ts'

interface Surroundings {
  readonly log: Logger
  readonly end: EndOfProcess
  /** What has to be closed again, latest last. */
  readonly closers: (() => Promise<unknown>)[]
}

/** Resolves with the process's exit code. Rejects when it could not start; everything is closed then. */
export async function runRouter(config: RouterProcessConfig): Promise<number> {
  const log = createLogger(config.logLevel)
  const end = new EndOfProcess()
  const startMs = performance.now()
  const closers: Surroundings['closers'] = []
  try {
    const service = await start(config, { log, end, closers })
    if (!end.isAsked) {
      const names = `instance=${config.instanceId} cluster=${config.nats.cluster} model=${config.servedModelName}`
      process.stdout.write(`rubato router ready ${addressesOf(service.doors, config)} ${names} in ${Math.round(performance.now() - startMs)} ms\n`)
    }
    const { code, reason } = await end.asked
    end.forceAfter(config.shutdownTimeoutMs)
    log.info({ reason, limitMs: config.shutdownTimeoutMs }, 'draining')
    await service.close(code === 0 ? config.shutdownTimeoutMs : 0)
    return code
  } finally {
    for (const close of closers.toReversed()) await close()
    log.info({}, 'stopped')
  }
}

async function start(config: RouterProcessConfig, { log, end, closers }: Surroundings): Promise<RouterService> {
  const text = await loadModelText(config)
  const model = servedModel(config, text, await modelIdentity(config, text.text.digest, config.instanceCpu))
  const nats = await openNats(config.nats, config.instanceId, log)
  closers.push(() => nats.close())
  const tracing = openTracing(config.tracing, 'router', config.instanceId, log)
  if (tracing !== null) closers.push(() => tracing.close())
  const shell = new LiveShell({ bus: nats.bus })
  closers.push(() => shell.stop())
  const directory = new MemberDirectory(nats.membership)
  closers.push(async () => directory.close())
  const service = new RouterService({ config, model, text, shell, log, version, tracing, isConnected: () => nats.isConnected })
  closers.push(() => service.close(0))
  await service.openDoors()
  const onFatal = (error: Error): void => {
    log.error({ err: error }, 'the name of this router is lost')
    end.ask({ code: 1, reason: error.message })
  }
  const member = await RouterMember.join({ name: config.instanceId, service, fingerprint: model.fingerprint, nats, directory, log, onFatal })
  closers.push(() => member.leave())
  return service
}
