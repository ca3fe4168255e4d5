// Runs a checked generation for one HTTP response: picks the answer's form and ties the request to the connection.
import type { ServerResponse } from 'node:http'
import type { RouterPort } from '../../client.ts'
import type { FrontDoorLimits, FrontDoorLog } from '../../front-door/options.ts'
import { RequestGroup } from '../../front-door/request-group.ts'
import { JsonAnswer } from './json-answer.ts'
import { SseAnswer } from './sse-answer.ts'
import type { GenerationPlan } from './request.ts'

export interface GenerateContext {
  readonly router: RouterPort
  readonly limits: FrontDoorLimits
  readonly log: FrontDoorLog
}

/** Starts the generation; the answer is written as it comes. A client that leaves or stops reading cancels it. */
export function generate(plan: GenerationPlan, res: ServerResponse, context: GenerateContext): void {
  const { router, limits, log } = context
  if (res.destroyed) return
  const sse = plan.stream ? new SseAnswer(plan, res, limits.maxBufferedBytes) : null
  const group = new RequestGroup(sse ?? new JsonAnswer(plan, res))
  sse?.attach(group)
  res.once('close', () => group.cancel())
  // Node restarts this timer at every write and while the kernel still takes bytes of the last one.
  res.setTimeout(limits.stallMs, () => {
    if (res.writableLength === 0) return
    log.warn({ requestId: plan.requestId, trace: group.trace }, 'client reads nothing: request cancelled')
    group.cancel()
    res.destroy()
  })
  group.start(router, plan.requests)
}
