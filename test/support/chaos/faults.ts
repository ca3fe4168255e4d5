// What is done to a cluster under load, drawn from a seed: three lanes at once, so that faults meet each other too.
//
// 1. When a lane fails, or it is all called off, every lane ends at its next wait, whatever it waits for, and leaves nothing frozen.
import { setTimeout as delay } from 'node:timers/promises'
import type { SeededRandom } from '@rubato/testing'
import type { ChaoticCluster } from './chaotic-cluster.ts'
import type { Slot } from './slot.ts'
import { together } from './together.ts'

const FREEZE_MS = 3_000
const POLL_MS = 5
const KINDS = ['router', 'prefill', 'decode'] as const

export type FaultCounts = Record<string, number>

interface Scene {
  readonly cluster: ChaoticCluster
  readonly random: SeededRandom
  readonly note: (fault: string) => void
}

export interface DisturbOptions {
  readonly onFault: (fault: string) => void
  readonly signal: AbortSignal
}

/** Every kind of process is killed and frozen, the broker restarted, KV links cut and corrupted; each at least once. */
export async function disturb(cluster: ChaoticCluster, random: SeededRandom, { onFault, signal }: DisturbOptions): Promise<FaultCounts> {
  const counts: FaultCounts = {}
  const note = (fault: string): void => {
    counts[fault] = (counts[fault] ?? 0) + 1
    onFault(fault)
  }
  const scene = { cluster, random, note }
  const over = new AbortController()
  const processes = async (until: AbortSignal): Promise<void> => {
    await together(until, (either) => killLane(scene, either), (either) => freezeLane(scene, either))
    over.abort()
  }
  await together(signal, processes, (either) => breakLinks(scene, over.signal, either))
  return counts
}

const slotsOf = (cluster: ChaoticCluster, kind: Slot['kind']): readonly Slot[] => [...cluster.routers, ...cluster.instances].filter((slot) => slot.kind === kind)

function shuffled<T>(items: readonly T[], random: SeededRandom): T[] {
  const left = [...items]
  return items.map(() => left.splice(random.int(left.length), 1)[0]!)
}

function pause(random: SeededRandom, leastMs: number, mostMs: number, signal: AbortSignal): Promise<void> {
  return delay(leastMs + random.int(mostMs - leastMs), undefined, { signal })
}

async function killLane({ cluster, random, note }: Scene, signal: AbortSignal): Promise<void> {
  for (const kind of shuffled(KINDS, random)) {
    await pause(random, 200, 1_500, signal)
    const slot = random.pick(slotsOf(cluster, kind))
    note(`${kind} killed`)
    await slot.kill()
    await pause(random, 0, 500, signal)
    await slot.start(signal)
  }
}

async function freezeLane({ cluster, random, note }: Scene, signal: AbortSignal): Promise<void> {
  for (const what of shuffled([...KINDS, 'broker'] as const, random)) {
    await pause(random, 200, 1_500, signal)
    if (what === 'broker') {
      note('nats-server restarted')
      await cluster.nats.kill()
      await pause(random, 0, 1_500, signal)
      await cluster.nats.restart()
      continue
    }
    const slots = slotsOf(cluster, what)
    while (slots.every(({ service }) => service === null)) await delay(POLL_MS, undefined, { signal })
    const { service } = random.pick(slots.filter((slot) => slot.service !== null))
    note(`${what} frozen`)
    service!.signal('SIGSTOP')
    try {
      await delay(FREEZE_MS, undefined, { signal })
    } finally {
      service!.signal('SIGCONT')
    }
  }
}

/** Somewhere in the first frames of the next transfers, or in what surrounds them. */
async function breakLinks({ cluster, random, note }: Scene, over: AbortSignal, signal: AbortSignal): Promise<void> {
  for (let turn = 0; !over.aborted || turn < 4; turn += 1) {
    await pause(random, 200, 800, signal)
    const proxy = random.pick(cluster.proxies.slice(0, 2))
    if (turn % 2 === 0) {
      note('KV bytes corrupted')
      proxy.corruptByteAt(100 + random.int(6_000))
      continue
    }
    note('KV link cut')
    proxy.cutAfter(1 + random.int(6_000))
    await pause(random, 50, 300, signal)
    proxy.cutAfter(null)
    proxy.cut()
  }
}
