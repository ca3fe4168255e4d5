// What `bench cluster` is told, and what it starts for it.
import { availableParallelism } from 'node:os'
import { InvalidArgument } from '@rubato/config'
import type { FleetOptions } from './fleet/fleet.ts'
import type { Environment } from './fleet/service-process.ts'
import type { DriveIo, LoadShape } from './load/drive.ts'

/** As commander hands them over. */
export interface ClusterFlags {
  readonly routers?: number
  readonly prefill: number
  readonly decode: number
  readonly engine: string
  readonly requests: number
  readonly concurrency: number
  readonly inputLen: number
  readonly outputLen: number
  readonly seed: number
  readonly scale?: readonly number[]
  readonly rolling?: boolean
  readonly chaos?: boolean
  readonly soak?: number
  readonly placement?: string
  readonly dispatch?: string
  readonly routerFlags?: string
  readonly instanceFlags?: string
  readonly natsServer?: string
  readonly logDir?: string
  readonly json?: string
}

export type ClusterMode = 'plain' | 'scale' | 'rolling' | 'chaos' | 'soak'

/** Throws InvalidArgument when two modes are asked for. */
export function modeOf({ scale, rolling, chaos, soak }: ClusterFlags): ClusterMode {
  const asked = [scale !== undefined && 'scale', rolling === true && 'rolling', chaos === true && 'chaos', soak !== undefined && 'soak'].filter((mode) => mode !== false)
  if (asked.length > 1) throw new InvalidArgument(`--${asked[1]}`, `cannot be combined with --${asked[0]}`)
  return (asked[0] ?? 'plain') as ClusterMode
}

const words = (text: string | undefined): string[] => (text ?? '').split(/\s+/).filter((word) => word !== '')

/** Faults and restarts of a router leave clients with another one. */
function defaultRouters(mode: ClusterMode): number {
  return mode === 'rolling' || mode === 'chaos' ? 2 : 1
}

export function fleetOptions(flags: ClusterFlags, model: string | undefined, io: DriveIo & { readonly env: Environment }): FleetOptions {
  const { prefill, decode, engine, concurrency, placement, dispatch } = flags
  if (prefill + decode === 0) throw new InvalidArgument('--decode', 'at least one instance is needed')
  // The synthetic engine computes next to nothing; real ones share the machine.
  const threads = Math.max(1, Math.floor(availableParallelism() / (prefill + decode)))
  const batch = Math.max(64, concurrency)
  const sizes = ['--max-num-seqs', String(batch), '--max-num-batched-tokens', String(batch + 512)]
  return {
    numRouters: flags.routers ?? defaultRouters(modeOf(flags)),
    numPrefill: prefill,
    numDecode: decode,
    engine,
    modelDir: model ?? null,
    routerFlags: ['--queue-size', '100000', ...(placement === undefined ? [] : ['--placement', placement]), ...(dispatch === undefined ? [] : ['--dispatch', dispatch]), ...words(flags.routerFlags)],
    instanceFlags: [...sizes, '--intra-op-threads', String(threads), ...words(flags.instanceFlags)],
    env: io.env,
    natsServer: flags.natsServer ?? null,
    logFolder: flags.logDir ?? null,
    progress: io.progress,
    signal: io.signal,
  }
}

export function loadShape({ requests, concurrency, inputLen, outputLen, seed }: ClusterFlags): LoadShape {
  return { numRequests: requests, concurrency, inputTokens: inputLen, outputTokens: outputLen, seed }
}
