// grpc.health.v1 over a readiness query. Check asks at once; Watch learns of changes within POLL_MS.
import type { Server, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js'
import { HealthImplementation } from 'grpc-health-check'
import type { EventEmitter } from 'node:events'

const POLL_MS = 250

interface WatchCall extends EventEmitter {
  end(): void
}

type CheckHandler = (call: unknown, callback: unknown) => void
type WatchHandler = (call: WatchCall) => void

export interface HealthService {
  /** Says NOT_SERVING from now on and ends the watches, which would hold a shutdown up. */
  stop(): void
}

/** Serves the health of the named services and of the whole server (''), all of which follow `ready`. */
export function addHealth(server: Server, services: readonly string[], ready: () => boolean): HealthService {
  const names = ['', ...services]
  const health = new HealthImplementation()
  const watches = new Set<WatchCall>()
  let [current, stopped]: ['UNKNOWN' | 'SERVING' | 'NOT_SERVING', boolean] = ['UNKNOWN', false]

  const refresh = (): void => {
    const next = !stopped && ready() ? 'SERVING' : 'NOT_SERVING'
    if (next === current) return
    current = next
    for (const name of names) health.setStatus(name, next)
  }

  const wrap = (implementation: UntypedServiceImplementation): UntypedServiceImplementation => ({
    ...implementation,
    check: (call: unknown, callback: unknown) => {
      refresh()
      const check = implementation['check'] as CheckHandler
      check(call, callback)
    },
    watch: (call: WatchCall) => {
      refresh()
      watches.add(call)
      call.on('cancelled', () => watches.delete(call))
      const watch = implementation['watch'] as WatchHandler
      watch(call)
    },
  })

  health.addToServer({
    addService: (service, implementation) => server.addService(service as ServiceDefinition, wrap(implementation as UntypedServiceImplementation)),
  })
  refresh()
  const timer = setInterval(refresh, POLL_MS)
  timer.unref()
  return {
    stop: () => {
      stopped = true
      clearInterval(timer)
      refresh()
      for (const watch of watches) watch.end()
    },
  }
}
