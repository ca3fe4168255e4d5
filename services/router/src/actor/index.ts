export { RouterActor } from './router-actor.ts'
export { ROUTER_TIMING } from './state/messages.ts'
