// Roles steer, they forbid nothing: who is asked first for each duty, and which pairs there are.
import type { DispatchInstance, DispatchRequest } from '../snapshot.ts'

export function takesPrompts({ role }: DispatchInstance): boolean {
  return role !== 'decode'
}

export function takesDecodes({ role }: DispatchInstance): boolean {
  return role !== 'prefill'
}

export function isDedicated({ role }: DispatchInstance): boolean {
  return role !== 'mixed'
}

/** A recovered request is computed again where it goes on; one token needs no second instance. */
export function mayShip(request: DispatchRequest): boolean {
  return request.emittedTokens === 0 && request.maxNewTokens > 1
}

export function prefillCandidates(instances: readonly DispatchInstance[]): readonly DispatchInstance[] {
  return instances.filter((instance) => instance.shipsKv && takesPrompts(instance))
}

export function decodeCandidates(instances: readonly DispatchInstance[]): readonly DispatchInstance[] {
  return instances.filter((instance) => instance.shipsKv && takesDecodes(instance))
}
