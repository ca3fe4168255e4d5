export { asyncPort } from './async-port.ts'
export { engineEffects } from './engine-effects.ts'
export { liveBus } from './live-bus.ts'
export { LiveScheduler } from './live-scheduler.ts'
export { LiveShell } from './live-shell.ts'

export type { AsyncPortOptions } from './async-port.ts'
export type { LiveActor, LiveShellOptions, StopReport } from './live-shell.ts'
