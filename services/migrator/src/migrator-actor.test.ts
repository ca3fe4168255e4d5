import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InstanceMessage, LoadMessage } from '@rubato/instance'
import { idleLoad } from '@rubato/testing'
import { MigratorActor } from './migrator-actor.ts'
import type { MigratorConfig, MigratorEffect, MigratorMessage } from './migrator-actor.ts'

const HOSTS = ['instance/a', 'instance/b'] as const

/** Drives one migrator: time passes in rounds of 200 ms. */
class Rig {
  nowMs = 0
  mayAct = true
  readonly sent: { readonly to: string; readonly payload: InstanceMessage }[] = []
  readonly advice: string[] = []
  readonly actor: MigratorActor
  #timer = 0

  constructor(config: Partial<MigratorConfig> = {}) {
    this.actor = new MigratorActor({ mayAct: () => this.mayAct, helloTo: HOSTS, ...config })
    this.#perform(this.actor.start(0))
  }

  tell(payload: MigratorMessage): void {
    this.#perform(this.actor.receive({ kind: 'message', from: 'x', payload }, this.nowMs))
  }

  load(name: string, fields: Partial<LoadMessage>): void {
    this.tell(idleLoad(name, { kvAddress: `kv/${name}`, ...fields }))
  }

  round(): void {
    this.nowMs += 200
    this.#perform(this.actor.receive({ kind: 'completion', effectId: this.#timer, effectKind: 'timer', outcome: { kind: 'done', value: null } }, this.nowMs))
  }

  /** What was told to move since the last look. */
  told(): string[] {
    const told = this.sent.splice(0).flatMap(({ to, payload }) => (payload.kind === 'migrate' ? [`${to} > ${payload.to.address} for ${payload.forMs}`] : []))
    return told
  }

  greeted(): string[] {
    return this.sent.splice(0).flatMap(({ to, payload }) => (payload.kind === 'hello' ? [to] : []))
  }

  #perform(effects: readonly MigratorEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'timer') this.#timer = effect.id
      else if (effect.kind === 'send') this.sent.push(effect)
      else if (effect.kind === 'advise') this.advice.push(effect.advice.kind === 'shrink' ? `shrink ${effect.advice.instanceId}` : effect.advice.kind)
    }
  }
}

const FULL = { numRunning: 10, freenessBlocks: 2, contextTokens: 10 * 64 }
const FREE = { numRunning: 1, freenessBlocks: 90, contextTokens: 64 }

test('instances are greeted until they report, and again when they fall silent', () => {
  const rig = new Rig()
  assert.deepEqual(rig.greeted(), [...HOSTS])
  rig.load('a', FREE)
  rig.round()
  assert.deepEqual(rig.greeted(), ['instance/b'])
  for (let round = 0; round < 7; round++) rig.round()
  assert.ok(rig.greeted().includes('instance/a'))
  rig.tell({ kind: 'member-lost', address: 'instance/a' })
  rig.tell({ kind: 'member-lost', address: 'instance/b' })
  rig.sent.length = 0
  rig.round()
  assert.deepEqual(rig.greeted(), [])
  rig.load('a', FULL)
  rig.load('b', FREE)
  rig.round()
  assert.deepEqual([rig.sent, rig.actor.snapshot().models], [[], []], 'last words of who is gone')
})

test('a full instance is told to give one request at a time, each on fresh reports of both', () => {
  const rig = new Rig()
  rig.load('a', FULL)
  rig.load('b', FREE)
  rig.round()
  assert.deepEqual(rig.told(), ['instance/a > instance/b for 0'])
  rig.round()
  rig.load('a', FULL)
  rig.round()
  assert.deepEqual(rig.told(), [], 'b has not reported since')
  rig.load('b', FREE)
  rig.round()
  assert.deepEqual(rig.told(), ['instance/a > instance/b for 0'])
})

test('a draining instance is told every round and goes on by itself between them', () => {
  const rig = new Rig()
  rig.load('a', { ...FREE, draining: true })
  rig.load('b', FREE)
  rig.round()
  rig.round()
  assert.deepEqual(rig.told(), Array.from({ length: 2 }, () => 'instance/a > instance/b for 400'))
})

test('only who leads acts; who takes over acts in its next round', () => {
  const rig = new Rig()
  rig.mayAct = false
  rig.load('a', FULL)
  rig.load('b', FREE)
  rig.round()
  assert.deepEqual([rig.told(), rig.actor.snapshot().isLeading], [[], false])
  rig.mayAct = true
  rig.round()
  assert.deepEqual([rig.told().length, rig.actor.snapshot().isLeading], [1, true])
})

test('an instance that preempted since its last report takes nothing', () => {
  const rig = new Rig()
  rig.load('a', FULL)
  rig.load('b', { ...FREE, preemptionsTotal: 1 })
  rig.load('b', { ...FREE, preemptionsTotal: 2 })
  rig.round()
  assert.deepEqual(rig.told(), [])
})

test('silent instances are no partners', () => {
  const rig = new Rig()
  rig.load('b', FREE)
  rig.nowMs = 1_500
  rig.load('a', FULL)
  rig.round()
  assert.deepEqual(rig.told(), [])
})

test('advice is told when it changes, and shown', () => {
  const rig = new Rig({ scaling: { growAfterMs: 400 } })
  for (let round = 0; round < 6; round++) {
    rig.load('a', FULL)
    rig.round()
  }
  assert.deepEqual(rig.advice, ['grow'])
  assert.deepEqual(rig.actor.snapshot().models.map(({ advice, averageFreenessBlocks }) => [advice.kind, averageFreenessBlocks]), [['grow', 2]])
  rig.load('a', FREE)
  rig.round()
  assert.deepEqual(rig.advice, ['grow', 'hold'])
})
