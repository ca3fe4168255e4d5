import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClusterEvent } from '@rubato/rpc'
import { EventWatch } from './event-watch.ts'
import type { EventSink } from './event-watch.ts'
import { ScriptedCluster, viewOf } from './fixtures/scripted-cluster.ts'

class Reader implements EventSink {
  readonly events: ClusterEvent[] = []
  readonly taken: (() => void)[] = []
  endings: string[] = []

  write(event: ClusterEvent, onTaken: () => void): void {
    this.events.push(event)
    this.taken.push(onTaken)
  }

  tooSlow(): void {
    this.endings.push('too slow')
  }

  end(): void {
    this.endings.push('end')
  }

  story(): string[] {
    return this.events.map(({ kind, instance, initial }) => `${String(kind).slice('CLUSTER_EVENT_KIND_'.length)} ${instance?.instanceId ?? ''}${initial === true ? ' initial' : ''}`.trim())
  }
}

test('a watcher hears what there is and then what changes; a later one misses nothing and repeats nothing', () => {
  const cluster = new ScriptedCluster()
  cluster.views = [viewOf('a@1')]
  const watch = new EventWatch(cluster)
  const [early, late] = [new Reader(), new Reader()]
  watch.add(early)
  cluster.views = [viewOf('a@1', { draining: true }), viewOf('b@1')]
  watch.add(late)
  cluster.recoveries = 3
  cluster.views = [viewOf('b@1')]
  watch.look()
  assert.deepEqual(early.story(), ['JOINED a@1 initial', 'JOINED b@1', 'DRAINING a@1', 'GONE a@1', 'RECOVERED'])
  assert.equal(early.events.at(-1)?.numRecoveries, 3)
  assert.deepEqual(late.story(), ['JOINED a@1 initial', 'JOINED b@1 initial', 'GONE a@1', 'RECOVERED'])
  assert.equal(late.events[0]?.instance?.draining, true)
  watch.close()
})

test('who left hears nothing more, and a watch that starts anew begins with what there is then', () => {
  const cluster = new ScriptedCluster()
  const watch = new EventWatch(cluster)
  const reader = new Reader()
  watch.add(reader)
  watch.remove(reader)
  watch.remove(reader)
  cluster.views = [viewOf('a@1')]
  watch.look()
  assert.deepEqual(reader.story(), [])
  const next = new Reader()
  watch.add(next)
  assert.deepEqual(next.story(), ['JOINED a@1 initial'])
  watch.close()
  assert.deepEqual([reader.endings, next.endings, watch.size], [[], ['end'], 0])
})

test('a watcher that does not read is ended at its bound, and the others go on', () => {
  const cluster = new ScriptedCluster()
  const watch = new EventWatch(cluster)
  const [slow, brisk] = [new Reader(), new Reader()]
  watch.add(slow)
  watch.add(brisk)
  for (let step = 0; step < 1500; step += 1) {
    cluster.recoveries += 1
    watch.look()
    for (const taken of brisk.taken.splice(0)) taken()
  }
  assert.deepEqual([slow.events.length, slow.endings], [1024, ['too slow']])
  assert.deepEqual([brisk.events.length, brisk.endings, watch.size], [1500, [], 1])
  watch.close()
})
