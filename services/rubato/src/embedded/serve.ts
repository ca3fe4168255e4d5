// `rubato serve`: the embedded cluster as a process, from the first progress line to exit code 0 after a drain.
import { setTimeout as delay } from 'node:timers/promises'
import { RubatoError } from '@rubato/config'
import type { ServeConfig } from '@rubato/config'
import { createLogger } from '../logging.ts'
import { version } from '../version.ts'
import { EmbeddedCluster } from './cluster.ts'

const READY_TIMEOUT_MS = 10_000
const READY_POLL_MS = 5
/** Beyond --shutdown-timeout, for engines and pools to close. */
const FORCED_EXIT_AFTER_MS = 10_000

function hostPort(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** The router is up; it can serve once the instances' first load reports have come. */
async function waitReady(cluster: EmbeddedCluster): Promise<void> {
  const endMs = performance.now() + READY_TIMEOUT_MS
  while (!cluster.router.ready()) {
    if (performance.now() > endMs) throw new RubatoError('unavailable', `no instance reported within ${READY_TIMEOUT_MS / 1000} s`)
    await delay(READY_POLL_MS)
  }
}

/** Serves until SIGINT or SIGTERM; a second signal ends at once. Resolves with the process's exit code. */
export async function serve(config: ServeConfig): Promise<number> {
  const log = createLogger(config.logLevel)
  const { promise: ended, resolve: end } = Promise.withResolvers<{ code: number; reason: string }>()
  let stage = ''
  const onProgress = (name: string, doneRatio: number | null): void => {
    if (name !== stage || doneRatio === 1) log.info(doneRatio === null ? {} : { percent: Math.round(doneRatio * 100) }, name)
    stage = name
  }
  const startMs = performance.now()
  let stopping = false
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stopping) process.exit(130)
      stopping = true
      end({ code: 0, reason: signal })
    })
  }
  const cluster = await EmbeddedCluster.start({ config, log, version, onProgress, onFatal: (error) => end({ code: 1, reason: error.message }) })
  // A signal during the start waits for it: a loading engine cannot be interrupted, only closed once it is open.
  if (!stopping) {
    await waitReady(cluster)
    const scheme = config.tls === null ? 'http' : 'https'
    const addresses = `${scheme}://${hostPort(config.host, cluster.httpPort)} grpc://${hostPort(config.host, cluster.grpcPort)}`
    process.stdout.write(`rubato ready ${addresses} model=${config.servedModelName} in ${Math.round(performance.now() - startMs)} ms\n`)
  }
  const { code, reason } = await ended
  log.info({ reason, limitMs: config.shutdownTimeoutMs }, 'draining')
  // A model run that never returns cannot be interrupted; the process must end all the same.
  setTimeout(() => process.exit(1), config.shutdownTimeoutMs + FORCED_EXIT_AFTER_MS).unref()
  await cluster.close(config.shutdownTimeoutMs)
  log.info({}, 'stopped')
  return code
}
