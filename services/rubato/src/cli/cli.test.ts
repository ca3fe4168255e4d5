// The command as users run it: exit codes, and what stands on which stream.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '@rubato/testing'
import { COMMANDS } from './commands.ts'
import { runRubato } from './run-rubato.ts'

/** Prints the address of every module that is loaded. */
const TRACE_LOADS = `data:text/javascript,import{registerHooks}from'node:module';registerHooks({load(u,c,n){process.stderr.write('load '+u+'\\n');return n(u,c)}})`

test('help lists the commands, version is a version', async () => {
  const { code, stdout } = await runRubato(['--help'])
  assert.equal(code, 0)
  for (const word of ['serve', 'router', 'prefill', 'decode', 'bench', 'model', 'doctor']) assert.match(stdout, new RegExp(`^  ${word} `, 'm'))
  const version = await runRubato(['--version'])
  assert.equal(version.code, 0)
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/)
})

test('a wrong word is one line on stderr, and exit code 2', async () => {
  assert.deepEqual(await runRubato(['srve']), { code: 2, stdout: '', stderr: "error: unknown command 'srve' (Did you mean serve?)\n" })
  assert.deepEqual(await runRubato(['serve', '--prot', '1']), { code: 2, stdout: '', stderr: "error: unknown option '--prot' (Did you mean --port?)\n" })
  assert.deepEqual(await runRubato(['model', 'inspect']), { code: 2, stdout: '', stderr: "error: missing required argument 'DIR'\n" })
})

test('a wrong value is one line that names flag and source, and exit code 2', async () => {
  const refused = await runRubato(['serve'], { env: { RUBATO_PORT: 'x' } })
  assert.deepEqual(refused, { code: 2, stdout: '', stderr: 'error: port: "x" (from RUBATO_PORT): must be a whole number from 0 to 65535\n' })
})

test('a process that cannot join its cluster says which flag to change', async (t) => {
  const unguarded = await runRubato(['decode', '--host', '0.0.0.0'])
  assert.equal(unguarded.code, 2)
  assert.match(unguarded.stderr, /^error: host: 0\.0\.0\.0 \(from --host\) .* --cluster-certfile, .* or --insecure/)
  for (const command of ['router', 'decode']) {
    const { code, stdout, stderr } = await runRubato([command, '--nats', 'nats://127.0.0.1:1', '--log-level', 'silent', '--cache-dir', temporaryFolder(t)])
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, /^error: .*--nats 127\.0\.0\.1:1: .*nats-server -js.*\n$/)
  }
})

test('a stack is shown only to those who debug', async () => {
  const { code, stderr } = await runRubato(['serve', '--device', 'cuda', '--log-level', 'debug'])
  assert.equal(code, 2)
  assert.match(stderr, /^error: device: "cuda" .* use cpu\nInvalidArgument: .*\n +at /)
})

test('rubato.yaml is read from where the command is called', async (t) => {
  const cwd = temporaryFolder(t)
  writeFileSync(path.join(cwd, 'rubato.yaml'), 'max_num_seq: 1\n')
  const { code, stderr } = await runRubato(['serve'], { cwd })
  assert.equal(code, 2)
  assert.match(stderr, /^error: max_num_seq: unknown setting in .*rubato\.yaml; did you mean max-num-seqs\?\n$/)
})

test('a server that cannot start ends with one line and exit code 1', async (t) => {
  const { code, stdout, stderr } = await runRubato(['serve', temporaryFolder(t), '--log-level', 'silent'])
  assert.equal(code, 1)
  assert.match(stderr, /^error: .*no weights found.*\n$/)
  assert.equal(stdout, '')
})

test('help of one command loads no other command, and no engine', async () => {
  const { code, stdout, stderr } = await runRubato(['serve', '--help'], { nodeArgs: ['--import', TRACE_LOADS] })
  assert.equal(code, 0)
  assert.match(stdout, /^Usage: rubato serve \[options\] \[MODEL\]/)
  assert.match(stderr, /load .*\/cli\/serve\/command\.ts/)
  assert.doesNotMatch(stderr, /load .*\/(bench|doctor|embedded|cluster|model|onnxruntime-node|pino|yaml)\//)
})

test('every command loads and explains its flags', async () => {
  const context = { env: {}, repoRoot: '/opt/rubato', print: () => {} }
  for (const { words, load } of COMMANDS) {
    const command = await load(context)
    assert.equal(command.name(), words.at(-1))
    assert.notEqual(command.description(), '')
  }
})
