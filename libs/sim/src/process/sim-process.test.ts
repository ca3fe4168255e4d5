import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimWorld } from '../sim-world.ts'
import { SimProcess } from './sim-process.ts'

function rig() {
  const world = new SimWorld({ seed: 1 })
  const process = new SimProcess(world, 'p')
  const ran: [string, number][] = []
  const note = (what: string) => (): void => void ran.push([what, world.nowMs()])
  return { world, process, ran, note }
}

test('while it stands still nothing runs; at the thaw what fell due runs in order, late by its clock', () => {
  const { world, process, ran, note } = rig()
  process.schedule(10, note('timer 10'))
  process.schedule(30, note('timer 30'))
  process.schedule(80, note('timer 80'))
  world.schedule(20, () => process.run(note('from outside')))
  world.schedule(5, () => process.freeze(45))
  world.runUntilIdle()
  assert.deepEqual(ran, [['timer 10', 50], ['from outside', 50], ['timer 30', 50], ['timer 80', 80]])
})

test('freezes that overlap end with the last of them', () => {
  const { world, process, ran, note } = rig()
  process.freeze(50)
  world.schedule(10, () => process.freeze(100))
  world.schedule(20, () => process.freeze(5))
  process.run(note('work'))
  world.runFor(109)
  assert.deepEqual([process.isFrozen, ran], [true, []])
  world.runFor(1)
  assert.deepEqual(ran, [['work', 110]])
})

test('what waits for the thaw can still be cancelled, also by what runs before it', () => {
  const { world, process, ran, note } = rig()
  const cancel = process.schedule(10, note('cancelled'))
  const cancelLater = process.schedule(12, note('cancelled by the one before'))
  process.schedule(11, () => cancelLater())
  process.freeze(50)
  world.schedule(20, cancel)
  world.runUntilIdle()
  assert.deepEqual(ran, [])
})

test('a freeze at the thaw holds back the rest', () => {
  const { world, process, ran, note } = rig()
  process.freeze(10)
  process.run(() => process.freeze(30))
  process.run(note('rest'))
  world.runUntilIdle()
  assert.deepEqual(ran, [['rest', 40]])
})

test('the dead run nothing, frozen or not', () => {
  const { world, process, ran, note } = rig()
  process.schedule(10, note('timer'))
  process.freeze(20)
  process.run(note('waiting'))
  world.runFor(5)
  process.kill()
  process.kill()
  process.run(note('later'))
  process.freeze(5)
  world.runUntilIdle()
  assert.deepEqual([ran, process.isAlive, process.isFrozen], [[], false, false])
})
