import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

/** What the statements write, run in a process of their own: the logger holds on to stderr. */
function output(statements: string): { stdout: string; stderr: string } {
  const code = `import { createLogger } from ${JSON.stringify(new URL('logging.ts', import.meta.url).href)}\n${statements}`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', code], { encoding: 'utf8' })
  return { stdout, stderr }
}

test('away from a terminal, each line on stderr is one JSON object', () => {
  const { stdout, stderr } = output(`createLogger('info').info({ instance: 'i1' }, 'started'); createLogger('warn').info({}, 'below its level')`)
  const { level, msg, instance } = JSON.parse(stderr) as Record<string, unknown>
  assert.deepEqual({ level, msg, instance }, { level: 30, msg: 'started', instance: 'i1' })
  assert.equal(stdout, '')
})

test('for a terminal lines are readable, and none is lost when the process exits at once', () => {
  const { stdout, stderr } = output(`createLogger('info', true).error({ instance: 'i1' }, 'died'); process.exit(1)`)
  assert.match(stderr, /ERROR.*: .*died/)
  assert.match(stderr, /instance.*i1/)
  assert.equal(stdout, '')
})

test('silent writes nothing', () => {
  assert.equal(output(`createLogger('silent').error({}, 'died')`).stderr, '')
})
