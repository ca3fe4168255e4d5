// The commands of the README's "Scale out" as a reader types them: on one machine to the letter, and on two with addresses
// for loopback and what docs/operations.md adds for other machines. Each machine is a network namespace.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { issueCertificate, noOpenssl, temporaryFolder } from '@rubato/testing'
import { createHosts, noHosts } from './fixtures/network-namespaces.ts'
import type { Host, HostProcess, HostSurroundings } from './fixtures/network-namespaces.ts'
import { PROFILE_FILE, startCluster, until } from './support/cluster.ts'

const ROOT = path.resolve(import.meta.dirname, '..')
const skip = noHosts() || (existsInPath('curl') ? false : 'curl is not installed, which the README asks with')

function existsInPath(name: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(path.join(folder, name)))
}

/** The commands of a document's section, without what they say beside. */
function commandsOf(file: string, heading: string): { readonly background: readonly string[]; readonly curl: string } {
  const section = readFileSync(path.join(ROOT, file), 'utf8').split(`## ${heading}\n`)[1]
  const [, block] = /```sh\n([^]*?)```/.exec(section ?? '') ?? []
  const lines = (block ?? '').split('\n').map((line) => line.replace(/\s+#.*$/, '')).filter((line) => line !== '')
  const background = lines.filter((line) => line.endsWith('&')).map((line) => line.replace(/\s*&$/, ''))
  const curl = lines.filter((line) => line.startsWith('curl '))
  assert.deepEqual([background.map((line) => /^(?:npx )?([\w-]+ ?\w*)/.exec(line)?.[1]), curl.length], [['nats-server ', 'rubato router', 'rubato prefill', 'rubato decode'], 1])
  return { background, curl: curl[0]! }
}

/** Nothing of this machine's user is read or written, and no time is spent on measuring. */
function surroundings(t: TestContext): HostSurroundings {
  const home = temporaryFolder(t)
  const inherited = Object.entries(process.env).filter(([key]) => !/^(RUBATO_|OTEL_|NODE_)/.test(key))
  const PATH = `${process.env['PATH']}:/usr/sbin:/usr/local/sbin`
  const own = { HOME: home, TMPDIR: home, XDG_CACHE_HOME: home, RUBATO_PROFILE: PROFILE_FILE, RUBATO_KV_CACHE_MEMORY_BYTES: '96MiB', RUBATO_SHUTDOWN_TIMEOUT: '5', npm_config_update_notifier: 'false' }
  return { cwd: ROOT, env: { ...Object.fromEntries(inherited), PATH, ...own } }
}

async function isServing(host: Host, url: string): Promise<boolean> {
  return (await host.run(`curl -s -o /dev/null -w '%{http_code}' ${url}/health || true`)) === '200'
}

/** In the order they were started; all but the broker end by themselves. */
async function stopAll(processes: readonly HostProcess[]): Promise<void> {
  const [broker, ...services] = processes
  assert.deepEqual(await Promise.all(services.map((service) => service.stop())), services.map(() => 0))
  await broker!.stop()
}

interface Answer {
  readonly choices: readonly { readonly text: string; readonly token_ids?: readonly number[] }[]
  readonly usage: { readonly completion_tokens: number }
}

test('the commands of the README start a cluster on a machine that has nothing else, and the last one is answered', { skip }, async (t) => {
  const [host] = createHosts(t, 1, surroundings(t)) as [Host]
  const { background, curl } = commandsOf('README.md', 'Scale out')
  const processes = background.map((line) => host.start(`exec ${line}`))
  await Promise.all(processes.slice(1).map((service) => service.printed(/^rubato \w+ ready /)))
  await until(() => isServing(host, 'http://127.0.0.1:8000'))
  const answer = JSON.parse(await host.run(curl)) as Answer
  assertAnswered(answer)
  await stopAll(processes)
})

/** The documented request draws its own seed: it may end before its 40 tokens. */
function assertAnswered({ usage }: Answer): void {
  assert.ok(usage.completion_tokens > 0 && usage.completion_tokens <= 40)
}

const PROMPT = `${'What say you to this night, and to the wind upon the heath?\n\n'.repeat(12)}ROMEO:\n`
const BODY = JSON.stringify({ prompt: PROMPT, max_tokens: 32, temperature: 0, ignore_eos: true, return_token_ids: true })
const KEY = 'sk-two-hosts'

test('with the decode instance on another machine the same commands, told their addresses, split a request across both', { skip: skip || noOpenssl }, async (t) => {
  const [near, far] = createHosts(t, 2, surroundings(t)) as [Host, Host]
  const folder = temporaryFolder(t)
  const certificate = issueCertificate(folder, 'hosts', [`IP:${near.address}`, `IP:${far.address}`])
  const fill = (line: string): string => Object.entries({
    HOST_A: near.address, HOST_B: far.address, KEY, 'ca.pem': certificate.caFile, 'host.pem': certificate.certFile, 'host.key': certificate.keyFile,
  }).reduce((text, [name, value]) => text.replaceAll(name, value), line)
  const { background, curl } = commandsOf('docs/operations.md', 'Two machines')
  const readme = commandsOf('README.md', 'Scale out')
  for (const [index, line] of background.entries()) assert.ok(line.startsWith(readme.background[index]!), `${line} begins as in the README`)
  const flags = ['', ' --placement disaggregated', '', ' --metrics-port 9100']
  const processes = background.map((line, index) => (index === 3 ? far : near).start(`exec ${fill(line)}${flags[index]}`))
  await Promise.all(processes.slice(1).map((service) => service.printed(/^rubato \w+ ready /)))
  const url = `http://${near.address}:8000`
  const instances = `curl -s ${url}/metrics | grep -c '^rubato_cluster_instances{.*state="serving".*} 1$' || true`
  await until(async () => Number(await far.run(instances)) === 2)

  assertAnswered(JSON.parse(await far.run(fill(curl))) as Answer)
  const apart = JSON.parse(await far.run(`curl -s ${url}/v1/completions -H 'content-type: application/json' -H 'authorization: Bearer ${KEY}' -d '${BODY}'`)) as Answer
  const pulled = await far.run(`curl -s http://${far.address}:9100/metrics | grep 'rubato_instance_kv_transferred_bytes_total{.*direction="pulled"'`)
  assert.match(pulled, / [1-9]\d*\s*$/)
  const embedded = await startCluster(t)
  const alone = await fetch(`http://127.0.0.1:${embedded.httpPort}/v1/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: BODY })
  assert.deepEqual(apart.choices, ((await alone.json()) as Answer).choices)
  await stopAll(processes)
})
