// The effect contract, run against a shell: each kind of effect x {done, failed, late, duplicate, cancelled, rejected}.
// Cells that a kind cannot reach: a timer or send is never completed twice by its own handler (the generic kind stands for
// it), and `cancel` is the host's own: it cannot fail, be late or exceed a limit.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Actor, Address, CancelEffect, Effect, EffectId, EffectPort, EffectRun, EffectTable, Outcome, SendEffect, TimerEffect } from '@rubato/actor'
import { ProbeActor } from './probe-actor.ts'
import type { ProbeMessage } from './probe-actor.ts'

export interface ConformanceHosting {
  readonly address: Address
  readonly actor: Actor<unknown>
  readonly effects: EffectTable
  /** Limits of the shell's own kinds. */
  readonly limits?: { readonly send?: number; readonly timer?: number }
}

/** A fresh shell with its bus, as the suite drives it. */
export interface ConformanceShell {
  host(hosting: ConformanceHosting): void
  /** Sends a message over the shell's bus. */
  send(from: Address, to: Address, payload: unknown): void
  /** Lets the shell run until the condition holds; rejects when it never does. */
  until(condition: () => boolean): Promise<void>
  /** Stops one actor. */
  stopActor(address: Address): void
  close(): Promise<void>
}

export interface ConformanceSubject {
  readonly name: string
  create(): ConformanceShell
}

const PROBE = 'probe/1'
const PEER = 'probe/2'
const OUTSIDE = 'test/outside'

/** A generic asynchronous kind whose runs the test settles itself. */
class HandPort implements EffectPort {
  readonly limit: number
  readonly runs = new Map<EffectId, EffectRun>()
  constructor(limit: number) {
    this.limit = limit
  }
  perform(effect: Effect, run: EffectRun): void {
    this.runs.set(effect.id, run)
  }
  run(id: EffectId): EffectRun {
    const run = this.runs.get(id)
    assert.ok(run !== undefined, `effect ${id} was not performed`)
    return run
  }
}

class Bench {
  readonly shell: ConformanceShell
  readonly probe = new ProbeActor()
  readonly peer = new ProbeActor()
  readonly work = new HandPort(2)
  #numNotes = 0

  constructor(shell: ConformanceShell, limits: ConformanceHosting['limits']) {
    this.shell = shell
    const broken: EffectPort = { limit: 1, perform: () => assert.fail('broken port') }
    shell.host({ address: PROBE, actor: this.probe, effects: { work: this.work, broken }, ...(limits === undefined ? {} : { limits }) })
    shell.host({ address: PEER, actor: this.peer, effects: {} })
  }

  tell(message: ProbeMessage): void {
    this.shell.send(OUTSIDE, PROBE, message)
  }

  /** Has the probe perform effects, and waits until it was told to. */
  async perform(...effects: readonly Effect[]): Promise<void> {
    this.tell({ effects })
    await this.settle()
  }

  /** Waits until everything sent to the probe before now has reached it. */
  async settle(): Promise<void> {
    this.#numNotes += 1
    const note = `note ${this.#numNotes}`
    this.tell({ note })
    await this.shell.until(() => this.probe.notes().includes(note))
  }

  async outcome(id: EffectId): Promise<Outcome> {
    await this.shell.until(() => this.probe.outcomesOf(id).length > 0)
    await this.settle()
    const outcomes = this.probe.outcomesOf(id)
    assert.equal(outcomes.length, 1, `effect ${id} completed ${outcomes.length} times`)
    return outcomes[0]!
  }

  send(to: Address, note: string): SendEffect {
    return { kind: 'send', id: this.probe.ids.next(), to, payload: { note } }
  }

  timer(delayMs: number): TimerEffect {
    return { kind: 'timer', id: this.probe.ids.next(), delayMs }
  }

  cancel(target: EffectId): CancelEffect {
    return { kind: 'cancel', id: this.probe.ids.next(), target }
  }

  effect(kind: string): Effect {
    return { kind, id: this.probe.ids.next() }
  }
}

const HOUR_MS = 3_600_000

type Case = readonly [name: string, run: (bench: Bench) => Promise<void>, limits?: ConformanceHosting['limits']]

const SEND_CASES: readonly Case[] = [
  ['send, done: handed to the bus, and the other actor gets it once, in order', async (bench) => {
    const effects = [bench.send(PEER, 'a'), bench.send(PEER, 'b')]
    await bench.perform(...effects)
    for (const { id } of effects) assert.equal((await bench.outcome(id)).kind, 'done')
    await bench.shell.until(() => bench.peer.notes().length === 2)
    assert.deepEqual(bench.peer.notes(), ['a', 'b'])
    assert.deepEqual(bench.peer.received.map((incoming) => incoming.kind === 'message' && incoming.from), [PROBE, PROBE])
  }],
  ['send, failed: nobody has that address', async (bench) => {
    const effect = bench.send('nobody/0', 'a')
    await bench.perform(effect)
    const outcome = await bench.outcome(effect.id)
    assert.ok(outcome.kind === 'failed' && outcome.error.code === 'no_receiver' && outcome.error.retryable)
  }],
  ['send, cancelled or late: one completion either way', async (bench) => {
    const effect = bench.send(PEER, 'a')
    await bench.perform(effect, bench.cancel(effect.id))
    assert.ok(['done', 'cancelled'].includes((await bench.outcome(effect.id)).kind))
  }],
  ['send, to itself: arrives after the turn that sent it', async (bench) => {
    const effect = bench.send(PROBE, 'self')
    await bench.perform(effect)
    await bench.shell.until(() => bench.probe.notes().includes('self'))
    assert.equal(bench.probe.maxDepth, 1)
  }],
  ['send, rejected: over the limit', async (bench) => {
    const effect = bench.send(PEER, 'a')
    await bench.perform(effect)
    assert.equal((await bench.outcome(effect.id)).kind, 'rejected')
    assert.deepEqual(bench.peer.notes(), [])
  }, { send: 0 }],
]

const TIMER_CASES: readonly Case[] = [
  ['timer, done: in order of time, once each', async (bench) => {
    const [late, soon, now] = [bench.timer(6), bench.timer(2), bench.timer(0)]
    await bench.perform(late, soon, now)
    for (const { id } of [late, soon, now]) assert.equal((await bench.outcome(id)).kind, 'done')
    assert.deepEqual(bench.probe.completions().map(({ effectId }) => effectId), [now.id, soon.id, late.id])
  }],
  ['timer, failed: a delay that is no delay', async (bench) => {
    for (const delayMs of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      const effect = bench.timer(delayMs)
      await bench.perform(effect)
      const outcome = await bench.outcome(effect.id)
      assert.ok(outcome.kind === 'failed' && outcome.error.code === 'invalid_argument')
    }
  }],
  ['timer, cancelled and late: a cancelled timer never fires', async (bench) => {
    const [victim, witness] = [bench.timer(3), bench.timer(8)]
    const cancel = bench.cancel(victim.id)
    await bench.perform(victim, witness, cancel)
    assert.equal((await bench.outcome(victim.id)).kind, 'cancelled')
    assert.deepEqual(await bench.outcome(cancel.id), { kind: 'done', value: true })
    await bench.outcome(witness.id)
    assert.equal((await bench.outcome(victim.id)).kind, 'cancelled')
  }],
  ['timer, rejected: over the limit, and a cancelled one makes room', async (bench) => {
    const [first, second, third] = [bench.timer(HOUR_MS), bench.timer(HOUR_MS), bench.timer(1)]
    await bench.perform(first, second)
    assert.equal((await bench.outcome(second.id)).kind, 'rejected')
    await bench.perform(bench.cancel(first.id), third)
    assert.equal((await bench.outcome(third.id)).kind, 'done')
  }, { timer: 1 }],
]

const CANCEL_CASES: readonly Case[] = [
  ['cancel, done without a target: already completed, unknown, or itself a cancel', async (bench) => {
    const sent = bench.send(PEER, 'a')
    await bench.perform(sent)
    await bench.outcome(sent.id)
    const unknown = bench.cancel(987_654)
    const cancels = [bench.cancel(sent.id), unknown, bench.cancel(unknown.id)]
    await bench.perform(...cancels)
    for (const { id } of cancels) assert.deepEqual(await bench.outcome(id), { kind: 'done', value: false })
  }],
  ['cancel, duplicate: the second finds nothing to cancel', async (bench) => {
    const victim = bench.effect('work')
    const [first, second] = [bench.cancel(victim.id), bench.cancel(victim.id)]
    await bench.perform(victim, first, second)
    assert.equal((await bench.outcome(victim.id)).kind, 'cancelled')
    assert.deepEqual(await bench.outcome(first.id), { kind: 'done', value: true })
    assert.deepEqual(await bench.outcome(second.id), { kind: 'done', value: false })
  }],
]

const WORK_CASES: readonly Case[] = [
  ['work, done: with its value', async (bench) => {
    const effect = bench.effect('work')
    await bench.perform(effect)
    assert.deepEqual(bench.probe.outcomesOf(effect.id), [])
    bench.work.run(effect.id).complete({ kind: 'done', value: 42 })
    assert.deepEqual(await bench.outcome(effect.id), { kind: 'done', value: 42 })
  }],
  ['work, failed: by its handler, or by the handler throwing', async (bench) => {
    const [effect, broken] = [bench.effect('work'), bench.effect('broken')]
    await bench.perform(effect, broken)
    const error = { code: 'engine_failed', message: 'gone', retryable: false }
    bench.work.run(effect.id).complete({ kind: 'failed', error })
    assert.deepEqual(await bench.outcome(effect.id), { kind: 'failed', error })
    const outcome = await bench.outcome(broken.id)
    assert.ok(outcome.kind === 'failed' && outcome.error.code === 'internal')
  }],
  ['work, duplicate: the second completion is ignored', async (bench) => {
    const effect = bench.effect('work')
    await bench.perform(effect)
    bench.work.run(effect.id).complete({ kind: 'done', value: 1 })
    bench.work.run(effect.id).complete({ kind: 'done', value: 2 })
    assert.deepEqual(await bench.outcome(effect.id), { kind: 'done', value: 1 })
  }],
  ['work, cancelled and late: aborted at once, its later outcome dropped', async (bench) => {
    const effect = bench.effect('work')
    await bench.perform(effect)
    const run = bench.work.run(effect.id)
    let numAborts = 0
    run.onAbort(() => (numAborts += 1))
    assert.equal(run.signal.aborted, false)
    await bench.perform(bench.cancel(effect.id))
    assert.ok(run.signal.aborted)
    assert.equal(numAborts, 1)
    assert.equal((await bench.outcome(effect.id)).kind, 'cancelled')
    run.complete({ kind: 'done', value: 'late' })
    assert.equal((await bench.outcome(effect.id)).kind, 'cancelled')
  }],
  ['work, rejected: over the limit at once; a cancelled run holds its slot until its handler settles', async (bench) => {
    const [first, second, third, fourth, fifth] = [bench.effect('work'), bench.effect('work'), bench.effect('work'), bench.effect('work'), bench.effect('work')]
    await bench.perform(first, second, third)
    assert.equal((await bench.outcome(third.id)).kind, 'rejected')
    await bench.perform(bench.cancel(first.id), fourth)
    assert.equal((await bench.outcome(fourth.id)).kind, 'rejected')
    bench.work.run(first.id).complete({ kind: 'done', value: null })
    await bench.perform(fifth)
    bench.work.run(fifth.id).complete({ kind: 'done', value: 5 })
    assert.deepEqual(await bench.outcome(fifth.id), { kind: 'done', value: 5 })
  }],
  ['a kind without a port is rejected', async (bench) => {
    const effect = bench.effect('unheard-of')
    await bench.perform(effect)
    assert.equal((await bench.outcome(effect.id)).kind, 'rejected')
  }],
  ['a stopped actor gets nothing more: no message, no completion', async (bench) => {
    const [effect, timer] = [bench.effect('work'), bench.timer(1)]
    await bench.perform(effect, timer)
    bench.shell.stopActor(PROBE)
    const numReceived = bench.probe.received.length
    const run = bench.work.run(effect.id)
    assert.ok(run.signal.aborted)
    run.complete({ kind: 'done', value: 1 })
    bench.tell({ note: 'too late' })
    bench.shell.send(OUTSIDE, PEER, { note: 'after' })
    await bench.shell.until(() => bench.peer.notes().includes('after'))
    assert.equal(bench.probe.received.length, numReceived)
  }],
]

/** Registers the suite's tests for one shell. */
export function effectConformance(subject: ConformanceSubject): void {
  for (const [name, run, limits] of [...SEND_CASES, ...TIMER_CASES, ...CANCEL_CASES, ...WORK_CASES]) {
    test(`${subject.name}: ${name}`, async () => {
      const bench = new Bench(subject.create(), limits)
      try {
        await run(bench)
        assert.equal(bench.probe.maxDepth <= 1, true, 'receive was re-entered')
      } finally {
        await bench.shell.close()
      }
    })
  }
}
