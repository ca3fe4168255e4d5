// The in-process bus of a live process: one drain per turn of the event loop, after its I/O.
import { InProcessBus } from '@rubato/bus'

export function liveBus(): InProcessBus {
  return new InProcessBus({ defer: (drain) => setImmediate(drain) })
}
