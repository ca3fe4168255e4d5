import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InProcessBus } from '@rubato/bus'
import type { DraftAnswer, DraftAsk, DraftReplyMessage, DraftRequestMessage } from '@rubato/model'
import { FRESH_CALIBRATION } from '@rubato/policy'
import { busDraftLinks } from './bus-draft-links.ts'

const PEER = { instanceId: 'i1', vocabulary: 'v', vocabSize: 10, eosTokenIds: [0] }
const askOf = (askId: number): DraftAsk => ({ askId, remainingMs: 50, depth: 2, width: 1, calibration: FRESH_CALIBRATION, leastProbability: 0, sequences: [] })
const answerOf = (askId: number): DraftAnswer => ({ askId, trees: [], unknown: [], queueMs: 0, draftMs: 0 })

function rig() {
  const drains: (() => void)[] = []
  const bus = new InProcessBus({ defer: (drain) => drains.push(drain), freezePayloads: true })
  const heard: DraftRequestMessage[] = []
  const results: string[] = []
  const links = busDraftLinks({ bus, address: 'drafts/i1', peer: PEER })
  const pump = (): void => {
    while (drains.length > 0) drains.shift()!()
  }
  return {
    links, heard, results, pump,
    listen: () => bus.register('s', (_, payload) => heard.push(payload as DraftRequestMessage)),
    ask: (askId: number) => links.ask('s', askOf(askId), (result) => results.push(result instanceof Error ? result.code : `answer ${result.askId}`)),
    reply: (message: DraftReplyMessage) => {
      bus.send('s', 'drafts/i1', message)
      pump()
    },
  }
}

test('a session begins with the first ask and a hello, answers find their asks, and the end is said', () => {
  const { links, heard, results, ask, reply, pump, listen } = rig()
  listen()
  links.tell('s', { sequences: [], forget: [1] })
  ask(1)
  ask(2)
  links.tell('s', { sequences: [], forget: [2] })
  pump()
  assert.deepEqual(heard.map(({ kind }) => kind), ['draft-hello', 'draft-ask', 'draft-ask', 'draft-news'])
  reply({ kind: 'draft-answer', answer: answerOf(2) })
  reply({ kind: 'draft-answer', answer: answerOf(2) })
  reply({ kind: 'draft-refused', askId: 1, reason: 'busy', message: '' })
  assert.deepEqual(results, ['answer 2', 'draft_busy'])
  links.close()
  pump()
  assert.equal(heard.at(-1)?.kind, 'draft-bye')
})

test('an ask that was given up settles never', () => {
  const { results, ask, reply, listen } = rig()
  listen()
  ask(1)()
  reply({ kind: 'draft-answer', answer: answerOf(1) })
  assert.deepEqual(results, [])
})

test('a refused session fails what was asked, and the next ask greets again', () => {
  const { heard, results, ask, reply, pump, listen } = rig()
  listen()
  for (const [askId, reason, code] of [[1, 'stranger', 'draft_link_failed'], [2, 'draining', 'draft_link_failed'], [3, 'other_vocabulary', 'draft_refused']] as const) {
    ask(askId)
    pump()
    reply({ kind: 'draft-refused', askId: null, reason, message: '' })
    assert.equal(results.at(-1), code)
  }
  assert.equal(heard.filter(({ kind }) => kind === 'draft-hello').length, 3)
})

test('nobody there fails at once, and close fails what is left', () => {
  const { links, results, ask, listen } = rig()
  ask(1)
  assert.deepEqual(results, ['draft_link_failed'])
  listen()
  ask(2)
  links.close()
  assert.deepEqual(results, ['draft_link_failed', 'draft_link_failed'])
})
