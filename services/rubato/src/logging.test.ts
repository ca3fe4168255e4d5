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

test('a line with a trace says its ids under their usual names, and any other line says none', () => {
  const { stderr } = output(`
    const log = createLogger('info')
    log.info({ requestId: 'r1', trace: { traceId: 't', spanId: 's' } }, 'traced')
    for (const trace of [null, undefined, 'text', {}]) log.info({ requestId: 'r2', trace }, 'not traced')
    log.info('text alone')
    log.child({ instance: 'i1' }).info({ trace: { traceId: 't', spanId: 's' } }, 'of a child')`)
  const lines = stderr.trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>)
  const ids = lines.map(({ trace_id: traceId, span_id: spanId, trace }) => [traceId, spanId, trace])
  const none = [undefined, undefined, undefined]
  assert.deepEqual(ids, [['t', 's', undefined], none, none, none, none, none, ['t', 's', undefined]])
  assert.deepEqual([lines[0]!['requestId'], lines[1]!['requestId']], ['r1', 'r2'])
})

test('silent writes nothing', () => {
  assert.equal(output(`createLogger('silent').error({}, 'died')`).stderr, '')
})
