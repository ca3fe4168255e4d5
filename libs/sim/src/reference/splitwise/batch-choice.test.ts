// Whom an iteration takes, and in which order, when there is not room for all.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimWorld } from '../../sim-world.ts'
import { chooseBatch } from './batch-choice.ts'
import { GIB, STEP_MS, TOY_CURVES } from './fixtures/toy-cluster.ts'
import { Job } from './job.ts'
import type { Task } from './job.ts'
import { Machine } from './machine.ts'
import { MAX_BATCH, MAX_SKIPS } from './published.ts'
import { WaitingRoom } from './waiting-room.ts'

const ROUTE = { promptMachine: 0, tokenMachine: 0 }
const ALL_BYTES = Number.POSITIVE_INFINITY

function jobOf(arrivalMs: number, promptTokens: number, outputTokens = 100): Job {
  return new Job({ arrivalMs, promptTokens, outputTokens }, ROUTE, GIB)
}

/** Adds a token task that ran before: in the batch still, or preempted. */
function addDecode(room: WaitingRoom, arrivalMs: number, state: 'running' | 'blocked'): Task {
  const { token } = jobOf(arrivalMs, 10)
  room.add(token)
  room.toBatch(token)
  token.state = state
  if (state === 'blocked') room.preempt(token)
  return token
}

test('prompts, preempted decodes, running ones, then the others by arrival', () => {
  const room = new WaitingRoom()
  const running = addDecode(room, 1, 'running')
  const blocked = addDecode(room, 2, 'blocked')
  const late = jobOf(4, 10).token
  const early = jobOf(3, 10).token
  const prompt = jobOf(5, 500).prompt
  for (const task of [late, early, prompt]) room.add(task)
  const { tasks, batchTokens } = chooseBatch(room, ALL_BYTES)
  assert.deepEqual(tasks, [prompt, blocked, running, early, late])
  assert.equal(batchTokens, 504)
})

test('preempted decodes go before running ones when there are too many of both', () => {
  const room = new WaitingRoom()
  const running = Array.from({ length: 300 }, (_, index) => addDecode(room, index, 'running'))
  const blocked = Array.from({ length: 300 }, (_, index) => addDecode(room, 300 + index, 'blocked'))
  const { tasks } = chooseBatch(room, ALL_BYTES)
  assert.equal(tasks.length, MAX_BATCH)
  assert.deepEqual(tasks, [...blocked, ...running.slice(0, MAX_BATCH - blocked.length)])
})

test('a starved task goes first, but only from the head of the pending ones', () => {
  const room = new WaitingRoom()
  const starved = jobOf(1, 10).token
  starved.numSkips = MAX_SKIPS
  const prompt = jobOf(2, 2048).prompt
  room.add(starved)
  assert.deepEqual(chooseBatch(room, ALL_BYTES).tasks, [starved])
  room.add(prompt)
  // The prompt, never skipped, came to stand before it and takes all tokens.
  assert.deepEqual(chooseBatch(room, ALL_BYTES).tasks, [prompt])
  prompt.numSkips = MAX_SKIPS
  const next = new WaitingRoom()
  next.add(starved)
  next.add(prompt)
  assert.deepEqual(chooseBatch(next, ALL_BYTES).tasks, [starved])
})

test('new tasks need memory, preempted ones have it', () => {
  const room = new WaitingRoom()
  const blocked = addDecode(room, 1, 'blocked')
  room.add(jobOf(2, 10).prompt)
  assert.deepEqual(chooseBatch(room, 10 * GIB).tasks, [blocked])
  assert.equal(chooseBatch(room, 11 * GIB).tasks.length, 2)
})

/** When a prompt that comes 5 ms into a run of 50 decode steps, to decode elsewhere, has its first token. */
function promptEndMs(promptTokens: number): number {
  const world = new SimWorld({ seed: 1 })
  const ends = new Map<Task, number>()
  const spec = { curves: TOY_CURVES, memoryBytes: 1e6 * GIB, weightsBytes: 0 }
  const machine = new Machine(world, spec, { taskDone: (task) => ends.set(task, world.nowMs()), idle: () => {} })
  const { prompt } = jobOf(5, promptTokens)
  machine.arrive(jobOf(0, 10, 51).token)
  world.schedule(5, () => machine.arrive(prompt))
  world.runUntilIdle()
  return ends.get(prompt)!
}

test('a prompt that can push the decodes out cuts their run, one above the token budget waits for its end', () => {
  assert.equal(promptEndMs(2048), STEP_MS + 2048)
  assert.equal(promptEndMs(2049), 50 * STEP_MS + 2049)
})
