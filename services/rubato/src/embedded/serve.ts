// `rubato serve`: the embedded cluster as a process, from the first progress line to exit code 0 after a drain.
import { setTimeout as delay } from 'node:timers/promises'
import { RubatoError } from '@rubato/config'
import type { ServeConfig } from '@rubato/config'
import { EndOfProcess, progressLog } from '@rubato/runtime'
import { addressesOf } from '../cluster/front-doors.ts'
import { createLogger } from '../logging.ts'
import { version } from '../version.ts'
import { EmbeddedCluster } from './cluster.ts'

const READY_TIMEOUT_MS = 10_000
const READY_POLL_MS = 5

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
  const end = new EndOfProcess()
  const startMs = performance.now()
  const onFatal = (error: Error): void => end.ask({ code: 1, reason: error.message })
  const cluster = await EmbeddedCluster.start({ config, log, version, onProgress: progressLog(log), onFatal })
  // A signal during the start waits for it: a loading engine cannot be interrupted, only closed once it is open.
  if (!end.isAsked) {
    await waitReady(cluster)
    process.stdout.write(`rubato ready ${addressesOf(cluster, config)} model=${config.servedModelName} in ${Math.round(performance.now() - startMs)} ms\n`)
  }
  const { code, reason } = await end.asked
  log.info({ reason, limitMs: config.shutdownTimeoutMs }, 'draining')
  end.forceAfter(config.shutdownTimeoutMs)
  await cluster.close(config.shutdownTimeoutMs)
  log.info({}, 'stopped')
  return code
}
