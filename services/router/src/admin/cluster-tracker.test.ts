import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InstanceRole } from '@rubato/instance'
import { seededRandom, testSeed } from '@rubato/testing'
import type { InstanceView } from '../actor/state/instances.ts'
import { ClusterTracker } from './cluster-tracker.ts'
import type { ClusterChange } from './cluster-tracker.ts'
import { viewOf } from './fixtures/scripted-cluster.ts'

function text(change: ClusterChange): string {
  return change.kind === 'recovered' ? `recovered ${change.numRecoveries}` : `${change.kind} ${change.instance.instanceId}`
}

/** What the tracker says of each state after the first. */
function story(first: readonly InstanceView[], ...rest: readonly (readonly InstanceView[])[]): string[][] {
  const tracker = new ClusterTracker({ instances: first, recoveriesTotal: 0 })
  return rest.map((instances) => tracker.observe({ instances, recoveriesTotal: 0 }).map(text))
}

const A = viewOf('a@1')

test('an instance joins, changes and goes, each told once', () => {
  const told = story([], [A], [A], [viewOf('a@1', { role: 'decode' })], [viewOf('a@1', { role: 'decode', draining: true })], [viewOf('a@1')], [], [])
  assert.deepEqual(told, [['joined a@1'], [], ['role-changed a@1'], ['draining a@1'], ['role-changed a@1', 'undrained a@1'], ['gone a@1'], []])
})

test('a later life of the same name fences the earlier one, whether or not that is still listed', () => {
  const later = viewOf('a@2')
  assert.deepEqual(story([A], [later]), [['fenced a@1', 'joined a@2']])
  assert.deepEqual(story([A], [A, later], [viewOf('a@1', { draining: true }), later], [later], [later]), [['fenced a@1', 'joined a@2'], [], [], []])
  assert.deepEqual(story([A], [], [later]), [['gone a@1'], ['joined a@2']])
  assert.deepEqual(story([A], [A, viewOf('b@2')]), [['joined b@2']])
})

test('an engine restart is told with the report that follows it, and nothing before', () => {
  const restarting = viewOf('a@1', {}, { incarnation: 2, load: null, role: 'mixed' })
  const back = viewOf('a@1', { incarnation: 2, role: 'decode' })
  assert.deepEqual(story([viewOf('a@1', { role: 'decode' })], [restarting], [back]), [[], ['engine-restarted a@1']])
})

test('an instance that never reported never joined', () => {
  assert.deepEqual(story([], [viewOf('a@1', {}, { load: null })], []), [[], []])
})

test('one that was given up and is heard again joins again', () => {
  assert.deepEqual(story([A], [], [A]), [['gone a@1'], ['joined a@1']])
})

test('recoveries are told as their number since the last look', () => {
  const tracker = new ClusterTracker({ instances: [], recoveriesTotal: 5 })
  const totals = [5, 7, 7, 8]
  assert.deepEqual(totals.map((recoveriesTotal) => tracker.observe({ instances: [], recoveriesTotal }).map(text)), [[], ['recovered 2'], [], ['recovered 1']])
})

test('whatever happens, applying the changes gives the cluster', () => {
  const random = seededRandom(testSeed(11))
  const roles: readonly InstanceRole[] = ['prefill', 'decode', 'mixed']
  const tracker = new ClusterTracker({ instances: [], recoveriesTotal: 0 })
  const believed = new Map<string, InstanceView>()
  const fenced = new Set<string>()
  let lives = 0
  const live = new Map<string, InstanceView>()
  for (let step = 0; step < 2000; step += 1) {
    const name = random.pick(['a', 'b', 'c'])
    const current = [...live.keys()].filter((id) => id.startsWith(name))
    if (current.length === 0 || random.next() < 0.2) {
      lives += 1
      live.set(`${name}@${lives}`, viewOf(`${name}@${lives}`))
    } else if (random.next() < 0.5) live.delete(random.pick(current))
    else {
      const id = random.pick(current)
      live.set(id, viewOf(id, { role: random.pick(roles), draining: random.next() < 0.5 }))
    }
    for (const change of tracker.observe({ instances: [...live.values()], recoveriesTotal: 0 })) {
      assert.ok(change.kind !== 'recovered')
      const { kind, instance } = change
      const { instanceId } = instance
      assert.equal(believed.has(instanceId), kind !== 'joined', `seed ${random.seed} step ${step}: ${kind} ${instanceId}`)
      if (kind === 'fenced') fenced.add(instanceId)
      if (kind === 'gone' || kind === 'fenced') believed.delete(instanceId)
      else believed.set(instanceId, instance)
    }
    const expected = [...live].filter(([instanceId]) => !fenced.has(instanceId))
    assert.deepEqual(believed, new Map(expected), `seed ${random.seed} step ${step}`)
    assert.deepEqual(new Set(tracker.instances()), new Set(believed.values()))
  }
})
