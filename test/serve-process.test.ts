// `rubato serve` as a user runs it: a process, its ready line, plain HTTP, signals, exit codes.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import path from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { temporaryFolder } from '@rubato/testing'
import { discover, listServices } from '../services/router/src/grpc/reflection-client.ts'
import { PROFILE_FILE } from './support/cluster.ts'

const root = path.resolve(import.meta.dirname, '..')

interface Served {
  readonly child: ChildProcess
  readonly http: string
  readonly grpc: string
}

async function serve(t: TestContext, flags: readonly string[] = []): Promise<Served> {
  const args = ['services/rubato/src/main.ts', 'serve', '--port', '0', '--grpc-port', '0', '--profile', PROFILE_FILE, '--cache-dir', temporaryFolder(t), '--log-level', 'error', ...flags]
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  for await (const line of createInterface({ input: child.stdout! })) {
    const ready = /^rubato ready (http:\S+) grpc:\/\/(\S+)/.exec(line)
    if (ready !== null) return { child, http: ready[1]!, grpc: ready[2]! }
  }
  throw new Error('the server ended before it was ready')
}

const post = (url: string, body: object): Promise<Response> => fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

test('a stream that runs when SIGTERM comes is finished, new requests are refused, and the process exits with 0', async (t) => {
  const { child, http } = await serve(t)
  assert.equal((await fetch(`${http}/health`)).status, 200)
  const response = await post(`${http}/v1/completions`, { prompt: 'PROSPERO:\n', max_tokens: 150, temperature: 0, ignore_eos: true, stream: true, return_token_ids: true })
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let text = (await reader.read()).value ?? ''
  child.kill('SIGTERM')
  const exited = once(child, 'exit')
  for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value
  const events = text.split('\n').filter((line) => line.startsWith('data: '))
  assert.equal(events.at(-1), 'data: [DONE]')
  const tokens = events.slice(0, -1).flatMap((line) => (JSON.parse(line.slice(6)) as { choices: { token_ids?: number[] }[] }).choices.flatMap((choice) => choice.token_ids ?? []))
  assert.equal(tokens.length, 150)
  assert.deepEqual(await exited, [0, null])
})

test('a client that knows no .proto of ours finds Generate by reflection and gets text, usage and timing', async (t) => {
  const { grpc } = await serve(t)
  assert.ok((await listServices(grpc)).includes('rubato.v1.Inference'))
  const client = await discover(grpc, 'rubato.v1.Inference')
  t.after(() => client.close())
  const generate = client as unknown as Record<'Generate', (request: object) => AsyncIterable<Record<string, unknown>>>
  const messages: Record<string, unknown>[] = []
  for await (const message of generate.Generate({ prompt: 'ROMEO:\nWhat say you to my suit?\n\nJULIET:\n', sampling: { max_tokens: 12, temperature: 0 } })) messages.push(message)
  assert.equal(messages.map(({ text }) => text).join(''), 'I am a fool.\n\nJULIET:\n')
  const last = messages.at(-1) as { usage: Record<string, number>; timing: Record<string, number> }
  assert.equal(last.usage['completion_tokens'], 12)
  assert.ok(last.timing['ttft_ms']! > 0)
})

test('a port that is taken is named with the flag that moves it', async (t) => {
  const { http } = await serve(t)
  const args = ['services/rubato/src/main.ts', 'serve', '--port', new URL(http).port, '--grpc-port', '0', '--profile', PROFILE_FILE, '--cache-dir', temporaryFolder(t), '--log-level', 'error']
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  let errors = ''
  child.stderr!.setEncoding('utf8').on('data', (part: string) => (errors += part))
  const [code] = (await once(child, 'exit')) as [number]
  assert.equal(code, 1)
  assert.match(errors, /--port/)
})
