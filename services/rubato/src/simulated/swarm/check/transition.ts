// One state transition of one actor as whoever hosts it sees it: what came in, and what the actor wants done.
import type { Address, Effect, Incoming, SendEffect } from '@rubato/actor'
import type { InstanceMessage, InstanceReport } from '@rubato/instance'
import type { FrontDoorMessage, RouterMessage } from '@rubato/service-router'
import type { SimHosted } from '../../cluster/index.ts'

/** What travels between the actors of a cluster, and what their own processes tell them. */
export type AnyMessage = InstanceMessage | InstanceReport | FrontDoorMessage | RouterMessage

export interface Transition {
  readonly process: string
  readonly address: Address
  /** null: the actor started. */
  readonly incoming: Incoming<AnyMessage> | null
  readonly effects: readonly Effect[]
  readonly nowMs: number
}

export type Watcher = (transition: Transition) => void

/** The actor as it is, with somebody who sees every transition. */
export function watched({ process, address, actor, effects }: SimHosted, watch: Watcher): Pick<SimHosted, 'actor' | 'effects'> {
  return {
    effects,
    actor: {
      start(nowMs) {
        const wanted = actor.start(nowMs)
        watch({ process, address, incoming: null, effects: wanted, nowMs })
        return wanted
      },
      receive(incoming, nowMs) {
        const wanted = actor.receive(incoming, nowMs)
        watch({ process, address, incoming: incoming as Incoming<AnyMessage>, effects: wanted, nowMs })
        return wanted
      },
    },
  }
}

export function messageOf({ incoming }: Transition): AnyMessage | null {
  return incoming?.kind === 'message' ? incoming.payload : null
}

export function isSend(effect: Effect): effect is SendEffect<AnyMessage> {
  return effect.kind === 'send'
}
