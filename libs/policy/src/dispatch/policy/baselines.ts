// The policies that look at one figure of each instance: baselines, and choices for clusters without cost models.
import { pendingWorkTokens, tightness, usableHitTokens } from '../selection/metrics.ts'
import type { DispatchInstance, DispatchRequest } from '../snapshot.ts'
import { exactly, nearLeast, preferring, withinFivePercent } from '../selection/selectors.ts'
import { pickByHash } from '../selection/rendezvous.ts'
import type { InstanceChoice } from './by-instance.ts'

/** An instance is overloaded when it has both this much more work than the least loaded, and this many times as much. */
const OVERLOAD_WORK_TOKENS = 2_048
const OVERLOAD_RATIO = 1.5

function idOf({ instanceId }: DispatchInstance): string {
  return instanceId
}

/** Room for the request, or at least blocks for its duty; all when none has. */
function withRoom(request: DispatchRequest, instances: readonly DispatchInstance[], duty: Parameters<InstanceChoice>[2]): readonly DispatchInstance[] {
  return preferring(instances, (instance) => tightness(request, instance, duty) < 2)
}

/** Join the shortest queue: least pending work, in prompt tokens. */
export const leastWork: InstanceChoice = (request, instances, duty) =>
  pickByHash(nearLeast(withRoom(request, instances, duty), pendingWorkTokens, withinFivePercent), request.requestId, idOf)

/** Llumnix (OSDI'24) §4.4.3: the highest freeness, so the least bad one when all are negative. */
export const highestFreeness: InstanceChoice = (request, instances) =>
  pickByHash(nearLeast(instances, (instance) => -instance.freenessBlocks, withinFivePercent), request.requestId, idOf)

/** The longest usable prefix among instances that are not overloaded, then the least work. */
export const longestPrefix: InstanceChoice = (request, instances, duty) => {
  const roomy = preferring(instances, (instance) => tightness(request, instance, duty) === 0)
  const leastTokens = Math.min(...roomy.map(pendingWorkTokens))
  const overloadTokens = Math.max(leastTokens + OVERLOAD_WORK_TOKENS, leastTokens * OVERLOAD_RATIO)
  const calm = roomy.filter((instance) => pendingWorkTokens(instance) <= overloadTokens)
  return leastWork(request, nearLeast(calm, (instance) => -usableHitTokens(request, instance), exactly), duty)
}

/** By the router's own count, over ids in order. */
export const nextInTurn: InstanceChoice = (request, instances) => {
  const order = [...instances].sort((a, b) => (a.instanceId < b.instanceId ? -1 : 1))
  return order[request.ordinal % order.length]!
}
