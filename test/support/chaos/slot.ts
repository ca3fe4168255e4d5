// One place in a cluster under chaos: a process that is killed, frozen and started again under its name, as a supervisor would.
//
// 1. A process that cannot start, because the broker is away or its former lease has not lapsed, is started again, until told to stop.
import { createServer } from 'node:net'
import type { SeededRandom } from '@rubato/testing'
import type { Service } from '../processes.ts'
import { unlessAborted } from './together.ts'

const START_ATTEMPTS = 5
/** Below the range that the kernel draws ports from for connections. */
const FIRST_PORT = 12_000
const NUM_PORTS = 20_000

export class Slot {
  readonly name: string
  readonly kind: 'router' | 'prefill' | 'decode'
  readonly #open: () => Promise<Service>
  #service: Service | null = null
  numStarts = 0

  constructor(kind: Slot['kind'], name: string, open: () => Promise<Service>) {
    this.kind = kind
    this.name = name
    this.#open = open
  }

  /** null: none runs. */
  get service(): Service | null {
    return this.#service
  }

  /** A process that is not ready yet when the signal aborts is left to the test's end. */
  async start(signal: AbortSignal): Promise<void> {
    for (let attempt = 1; this.#service === null; attempt += 1) {
      signal.throwIfAborted()
      this.numStarts += 1
      try {
        this.#service = await unlessAborted(signal, this.#open())
      } catch (error) {
        if (signal.aborted || attempt === START_ATTEMPTS) throw error
      }
    }
  }

  /** kill -9. Resolves when it is gone. */
  async kill(): Promise<void> {
    const service = this.#service
    this.#service = null
    service?.signal('SIGKILL')
    await service?.exited
  }
}

/** A port that nobody listens on, and that no outgoing connection will take meanwhile. */
export async function quietPort(random: SeededRandom): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + random.int(NUM_PORTS)
    const isFree = await new Promise<boolean>((resolve) => {
      const server = createServer()
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
    })
    if (isFree) return port
  }
}
