// The one router of a fleet that was started with the probe, and streams against it.
import path from 'node:path'
import { credentials, status } from '@grpc/grpc-js'
import type { ServiceError } from '@grpc/grpc-js'
import { RubatoError } from '@rubato/config'
import { loadInferencePackage } from '@rubato/rpc'
import type { GenerateRequest, GenerateResponse__Output } from '@rubato/rpc'
import type { Fleet } from '../cluster/fleet/fleet.ts'
import type { MeasuredRouter, StreamLoad } from './measure-router.ts'
import type { ProbeAnswer, ProbeQuestion } from '../cluster/fleet/probe.ts'

/** Node's flags that write a CPU profile into the folder when the router ends. */
export function profileArgs(profileFolder: string | null): readonly string[] {
  return profileFolder === null ? [] : ['--cpu-prof', '--cpu-prof-dir', path.resolve(profileFolder)]
}

export class ProbedRouter implements MeasuredRouter {
  readonly #fleet: Fleet
  readonly #client: InstanceType<ReturnType<typeof loadInferencePackage>['rubato']['v1']['Inference']>

  constructor(fleet: Fleet) {
    this.#fleet = fleet
    this.#client = new (loadInferencePackage().rubato.v1.Inference)(fleet.routerAddresses()[0]!, credentials.createInsecure())
  }

  ask(question: ProbeQuestion): Promise<ProbeAnswer> {
    return this.#fleet.routers[0]!.ask(question)
  }

  /** Sends requests on so many lines; resolves with the number of tokens that came. Rejects with the first failure. */
  async run({ numRequests, numStreams, request, signal }: StreamLoad): Promise<number> {
    let next = 0
    let tokens = 0
    const line = async (): Promise<void> => {
      while (next < numRequests && !signal.aborted) {
        const count = await this.#generate(request(next++), signal)
        tokens += count
      }
    }
    await Promise.all(Array.from({ length: numStreams }, line))
    return tokens
  }

  close(): void {
    this.#client.close()
  }

  #generate(request: GenerateRequest, signal: AbortSignal): Promise<number> {
    return new Promise((resolve, reject) => {
      let tokens = 0
      const call = this.#client.generate(request)
      const cancel = (): void => call.cancel()
      signal.addEventListener('abort', cancel, { once: true })
      const settle = (settled: () => void): void => {
        signal.removeEventListener('abort', cancel)
        settled()
      }
      call.on('data', ({ tokenIds }: GenerateResponse__Output) => (tokens += tokenIds.length))
      call.on('error', (error: ServiceError) => settle(() => (signal.aborted ? resolve(tokens) : reject(new RubatoError('unavailable', `${status[error.code]}: ${error.details}`, { cause: error })))))
      call.on('end', () => settle(() => resolve(tokens)))
    })
  }
}
