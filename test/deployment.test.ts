// The files under deploy/ and docker-compose.yml against what they name: our own commands and flags, our metrics, each other.
import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { INSTANCE_METRIC_NAMES, renderInstanceMetrics } from '@rubato/telemetry'
import { idleLoad } from '@rubato/testing'
import { parse, parseAllDocuments } from 'yaml'
import { METRIC_NAMES } from '../services/router/src/metrics.ts'
import { COMMANDS } from '../services/rubato/src/cli/commands.ts'
import type { CliContext } from '../services/rubato/src/cli/context.ts'
import { givenFlags } from '../services/rubato/src/cli/serve/flag-options.ts'
import { readInstanceConfig, readRouterConfig, readServeConfig } from '../services/rubato/src/cli/serve/read-config.ts'

const root = path.resolve(import.meta.dirname, '..')
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8')

type Tree = Record<string, unknown>
const tree = (value: unknown): Tree => (typeof value === 'object' && value !== null ? (value as Tree) : {})
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

/** The value at a path of keys; undefined where it ends early. */
function at(value: unknown, ...keys: readonly string[]): unknown {
  return keys.reduce((inner, key) => tree(inner)[key], value)
}

function filesUnder(folder: string, ending: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith(ending)).map((file) => path.join(folder, file))
}

function documents(file: string): Tree[] {
  return parseAllDocuments(read(file), { merge: true }).map((document) => {
    assert.deepEqual(document.errors, [], file)
    return tree(document.toJS())
  })
}

const compose = documents('docker-compose.yml')[0]!
const services = Object.entries(tree(compose['services'])).map(([name, service]) => ({ name, service: tree(service) }))
const SECRETS: Readonly<Record<string, string>> = { RUBATO_API_KEY: 'key', NATS_PASSWORD: 'secret', GRAFANA_PASSWORD: 'secret' }

/** `${NAME}`, `${NAME:-default}` and `${NAME:?message}` as compose fills them in. Throws for a required one that is not set. */
function interpolate(text: string, env: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_whole, name: string, rule: string | undefined, rest: string | undefined) => {
    const value = env[name] ?? ''
    if (value !== '') return value
    if (rule === '?') throw new Error(`${name}: ${rest}`)
    return rest ?? ''
  })
}

function environmentOf(service: Tree, env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(tree(service['environment'])).map(([name, value]) => [name, interpolate(String(value), env)]))
}

/** Parses a command line as `rubato` would and resolves its configuration; nothing is started. */
async function resolve(argv: readonly string[], env: Readonly<Record<string, string>>): Promise<object> {
  const context: CliContext = { env, repoRoot: root, print: () => {} }
  const entry = COMMANDS.find(({ words }) => words.every((word, index) => argv[index] === word))
  assert.ok(entry !== undefined, `no command: ${argv.join(' ')}`)
  const command = (await entry.load(context)).exitOverride()
  const { promise, resolve: settle } = Promise.withResolvers<object>()
  command.action((model: string | undefined) => {
    const flags = givenFlags(command, model)
    const [name] = entry.words
    settle(name === 'router' ? readRouterConfig(flags, context) : name === 'serve' ? readServeConfig(flags, context) : readInstanceConfig(flags, context, name === 'prefill' ? 'prefill' : 'decode'))
  })
  await command.parseAsync(argv.slice(entry.words.length), { from: 'user' })
  return promise
}

const SERVICE_KEYS = new Set([
  'build', 'cap_drop', 'command', 'depends_on', 'entrypoint', 'environment', 'healthcheck', 'image', 'network_mode', 'networks', 'ports', 'restart', 'security_opt',
  'stop_grace_period', 'volumes',
])
const HEALTH_KEYS = new Set(['test', 'interval', 'timeout', 'retries', 'start_period'])
const CONDITIONS = new Set(['service_started', 'service_healthy', 'service_completed_successfully'])
const DURATION = /^(\d+(ms|s|m|h))+$/

test('every YAML and JSON file under deploy/ parses', () => {
  for (const file of [...filesUnder('deploy', '.yaml'), ...filesUnder('deploy', '.yml')]) documents(file)
  for (const file of filesUnder('deploy', '.json')) JSON.parse(read(file))
})

test('the compose file has the shape that compose accepts: keys, health checks, conditions, volumes, networks', () => {
  assert.deepEqual(Object.keys(compose).filter((key) => !key.startsWith('x-')).toSorted(), ['name', 'networks', 'services', 'volumes'])
  const oneShot = services.filter(({ service }) => service['restart'] === 'no').map(({ name }) => name)
  for (const { name, service } of services) {
    assert.deepEqual(Object.keys(service).filter((key) => !SERVICE_KEYS.has(key)), [], name)
    assert.match(interpolate(String(service['image']), {}), /^[\w./-]+:[\w.-]+$/, name)
    if (!oneShot.includes(name)) checkHealth(name, tree(service['healthcheck']))
    for (const [target, rule] of Object.entries(tree(service['depends_on']))) {
      assert.ok(services.some((other) => other.name === target), `${name} waits for ${target}, which is not there`)
      assert.ok(CONDITIONS.has(String(at(rule, 'condition'))), `${name} -> ${target}`)
      if (at(rule, 'condition') === 'service_healthy') assert.ok(!oneShot.includes(target), `${target} ends and is never healthy`)
    }
    for (const network of list(service['networks'])) assert.ok(String(network) in tree(compose['networks']), `${name}: ${String(network)}`)
    for (const volume of list(service['volumes'])) checkVolume(name, String(volume))
    for (const port of list(service['ports'])) assert.match(String(port), /^127\.0\.0\.1:\d+:\d+$/, `${name} publishes to others`)
  }
})

function checkHealth(name: string, health: Tree): void {
  assert.deepEqual(Object.keys(health).filter((key) => !HEALTH_KEYS.has(key)), [], name)
  const [kind, ...words] = list(health['test'])
  assert.ok((kind === 'CMD' || kind === 'CMD-SHELL') && words.length > 0, `${name} has no health check`)
  for (const key of ['interval', 'timeout', 'start_period']) assert.match(String(health[key]), DURATION, `${name}.${key}`)
  assert.ok(Number.isInteger(health['retries']), name)
}

function checkVolume(name: string, volume: string): void {
  const [source = '', target = '', mode = 'rw'] = volume.split(':')
  assert.ok(target.startsWith('/') && ['ro', 'rw'].includes(mode), `${name}: ${volume}`)
  if (source.startsWith('.')) assert.ok(existsSync(path.join(root, source)), `${name} mounts ${source}, which is not there`)
  else assert.ok(source in tree(compose['volumes']), `${name}: volume ${source} is not declared`)
}

test('nothing of the compose file starts without its secrets, and the message names them', () => {
  for (const name of Object.keys(SECRETS)) {
    const { [name]: _left, ...rest } = SECRETS
    assert.throws(() => interpolate(read('docker-compose.yml'), rest), new RegExp(`^Error: ${name}: set ${name}`))
    assert.match(read('deploy/example.env'), new RegExp(`^${name}=$`, 'm'))
  }
})

test('every rubato command of the compose file is accepted with its flags and environment, stops within its grace, and is closed to strangers', async () => {
  const ours = services.filter(({ service }) => String(service['image']).includes('rubato'))
  assert.deepEqual(ours.map(({ name }) => name).toSorted(), ['decode-1', 'decode-2', 'prefill', 'router'])
  for (const { name, service } of ours) {
    const config = await resolve(list(service['command']).map(String), environmentOf(service, SECRETS))
    const seconds = Number(/^(\d+)s$/.exec(String(service['stop_grace_period']))?.[1])
    assert.ok(seconds * 1000 > Number(at(config, 'shutdownTimeoutMs')), name)
    assert.equal(at(config, 'nats', 'login', 'kind'), 'user', name)
    assert.deepEqual(at(config, 'nats', 'servers'), ['tls://nats:4222'], name)
    if (name === 'router') assert.equal(at(config, 'apiKey'), 'key')
    else assert.deepEqual([at(config, 'kv', 'advertiseAddress'), at(config, 'kv', 'tls', 'certFile')], [name, `/run/certificates/${name}.pem`])
  }
  const router = ours.find(({ name }) => name === 'router')!.service
  const { RUBATO_API_KEY: _key, ...open } = environmentOf(router, SECRETS)
  await assert.rejects(resolve(list(router['command']).map(String), open), { field: 'host' })
})

test('certificates are made for exactly the hosts that need one', () => {
  const words = list(services.find(({ name }) => name === 'certificates')!.service['entrypoint']).map(String)
  const named = services.filter(({ name }) => /^(nats|prefill|decode)/.test(name)).map(({ name }) => name)
  assert.deepEqual(words.slice(3).toSorted(), named.toSorted())
})

const kubernetes = filesUnder('deploy/kubernetes', '.yaml').concat('deploy/nats/nats.yaml').filter((file) => !file.endsWith('kustomization.yaml')).flatMap(documents)
const ofKind = (kind: string): Tree[] => kubernetes.filter((document) => document['kind'] === kind)
const workloads = [...ofKind('Deployment'), ...ofKind('StatefulSet')].map((workload) => {
  const pod = tree(at(workload, 'spec', 'template', 'spec'))
  return { name: String(at(workload, 'metadata', 'name')), labels: tree(at(workload, 'spec', 'template', 'metadata', 'labels')), pod, container: tree(list(pod['containers'])[0]) }
})

/** A container's variables as the kubelet would set them, and its arguments with `$(NAME)` filled in. */
function started(container: Tree): { readonly args: readonly string[]; readonly env: Record<string, string> } {
  const settings = ofKind('ConfigMap').find((map) => at(map, 'metadata', 'name') === 'rubato')
  const env: Record<string, string> = { ...(tree(settings?.['data']) as Record<string, string>) }
  const fill = (text: string): string => text.replaceAll(/\$\((\w+)\)/g, (_whole, name: string) => env[name] ?? assert.fail(`$(${name}) is not set`))
  for (const entry of list(container['env'])) {
    const { name, value, valueFrom } = tree(entry)
    const secret = at(valueFrom, 'secretKeyRef', 'key')
    env[String(name)] = valueFrom === undefined ? fill(String(value)) : typeof secret === 'string' ? secret : 'pod-0'
  }
  return { args: list(container['args']).map((word) => fill(String(word))), env }
}

test('every rubato command of the manifests is accepted with its flags and environment, and gets the time that it may take to stop', async () => {
  const ours = workloads.filter(({ container }) => container['image'] === 'rubato')
  assert.deepEqual(ours.map(({ name }) => name).toSorted(), ['decode', 'prefill', 'router'])
  for (const { name, pod, container } of ours) {
    const { args, env } = started(container)
    const config = await resolve(args, env)
    assert.ok(Number(pod['terminationGracePeriodSeconds']) * 1000 > Number(at(config, 'shutdownTimeoutMs')) + 5000, name)
    // Service links would set RUBATO_... variables, which are flags.
    assert.equal(pod['enableServiceLinks'], false, name)
    if (name !== 'router') assert.equal(at(config, 'kv', 'advertiseAddress'), `pod-0.${name}.rubato.svc.cluster.local`)
  }
})

test('every container is probed at a port it names, runs as nobody special, and says what it needs', () => {
  for (const { name, pod, container } of workloads) {
    const ports = list(container['ports']).map((port) => at(port, 'name'))
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) assert.ok(ports.includes(at(container, probe, 'httpGet', 'port')), `${name}.${probe}`)
    assert.equal(at(pod, 'securityContext', 'runAsNonRoot'), true, name)
    assert.deepEqual(at(container, 'securityContext', 'capabilities', 'drop'), ['ALL'], name)
    assert.ok(at(container, 'resources', 'requests', 'memory') !== undefined && at(container, 'resources', 'limits', 'memory') !== undefined, name)
    const volumes = list(pod['volumes']).map((volume) => at(volume, 'name'))
    for (const mount of list(container['volumeMounts'])) assert.ok(volumes.includes(at(mount, 'name')), `${name}: ${String(at(mount, 'name'))}`)
  }
})

test('services, budgets and network policies select pods that are there, by ports that those have', () => {
  const matches = (selector: Tree, labels: Tree): boolean => Object.entries(selector).every(([key, value]) => labels[key] === value)
  const selected = (selector: Tree) => workloads.filter(({ labels }) => matches(selector, labels))
  const policies = ofKind('NetworkPolicy').filter((policy) => Object.keys(tree(at(policy, 'spec', 'podSelector'))).length > 0)
  const selections = [
    ...ofKind('Service').map((service) => ({ selector: at(service, 'spec', 'selector'), ports: list(at(service, 'spec', 'ports')).map((port) => at(port, 'targetPort')) })),
    ...ofKind('PodDisruptionBudget').map((budget) => ({ selector: at(budget, 'spec', 'selector', 'matchLabels'), ports: [] })),
    ...policies.map((policy) => ({
      selector: at(policy, 'spec', 'podSelector', 'matchLabels'),
      ports: list(at(policy, 'spec', 'ingress')).flatMap((rule) => list(at(rule, 'ports')).map((port) => at(port, 'port'))),
    })),
  ]
  assert.ok(selections.length >= 10)
  for (const { selector, ports } of selections) {
    const pods = selected(tree(selector))
    assert.ok(pods.length > 0, JSON.stringify(selector))
    for (const { name, container } of pods) {
      const named = list(container['ports']).map((port) => at(port, 'name'))
      for (const port of ports) assert.ok(named.includes(port), `${name} has no port ${String(port)}`)
    }
  }
  // KV and the broker are for the cluster alone.
  for (const port of ['kv', 'client', 'admin']) {
    const rules = policies.flatMap((policy) => list(at(policy, 'spec', 'ingress'))).filter((rule) => list(at(rule, 'ports')).some((one) => at(one, 'port') === port))
    assert.ok(rules.length > 0 && rules.every((rule) => list(at(rule, 'from')).length > 0), `${port} is open to everybody`)
  }
})

test('the kustomization names every manifest', () => {
  const named = list(at(documents('deploy/kubernetes/kustomization.yaml')[0], 'resources')).map(String)
  const there = readdirSync(path.join(root, 'deploy/kubernetes')).filter((file) => file !== 'kustomization.yaml')
  assert.deepEqual(named.filter((file) => file !== '../nats').toSorted(), there.toSorted())
})

test('dashboards and scrape targets name what exists: metrics, services and their ports', () => {
  const known = new Set([...METRIC_NAMES, ...INSTANCE_METRIC_NAMES].flatMap((name) => [name, `${name}_bucket`, `${name}_sum`, `${name}_count`]))
  for (const file of filesUnder('deploy/grafana/dashboards', '.json')) {
    const text = read(file)
    const named = new Set(text.match(/(?:rubato_|vllm:)[a-z0-9_]+/g))
    assert.deepEqual([...named].filter((name) => !known.has(name)), [], file)
    assert.ok(list(at(JSON.parse(text), 'panels')).length > 10, file)
  }
  const datasources = list(at(parse(read('deploy/grafana/provisioning/datasources/datasources.yaml')), 'datasources')).map((source) => new URL(String(at(source, 'url'))).hostname)
  const targets = list(at(parse(read('deploy/prometheus/prometheus.yml')), 'scrape_configs')).flatMap((job) => list(at(list(at(job, 'static_configs'))[0], 'targets')).map(String))
  for (const host of [...datasources, ...targets.map((target) => target.split(':')[0]!)]) assert.ok(host === 'localhost' || services.some(({ name }) => name === host), host)
  for (const target of targets.filter((one) => !one.startsWith('localhost'))) {
    const [host, port = ''] = target.split(':')
    assert.ok(list(services.find(({ name }) => name === host)!.service['command']).includes(port), `${host} does not listen on ${port}`)
  }
})

test('the dashboard of instances selects and names series by labels that they have', () => {
  const counts = { numDone: 1, numFailed: 0, bytes: 1 }
  const extra = { modelName: 'm', instanceName: 'i', kv: { pulled: counts, served: counts }, spans: null }
  const labels = new Set([...renderInstanceMetrics(idleLoad('i'), extra).matchAll(/[{,](\w+)="/g)].map(([, label]) => label))
  const text = read('deploy/grafana/dashboards/instances.json')
  const used = [...text.matchAll(/\{\{(\w+)\}\}|[{,](\w+)=~?\\"|label_values\(\w+, (\w+)\)/g)].map((match) => match[1] ?? match[2] ?? match[3])
  assert.ok(used.length > 20)
  assert.deepEqual([...new Set(used)].filter((label) => !labels.has(label)), [])
})

test('the images install with the lock file, run as nobody special, and start any command', () => {
  for (const file of ['Dockerfile', 'deploy/Dockerfile.cuda']) {
    const text = read(file)
    assert.match(text, /npm install --no-save/, file)
    assert.match(text, /^USER 10001:10001$/m, file)
    assert.match(text, /^HEALTHCHECK .*CMD \["node", "deploy\/healthcheck\.js"\]$/m, file)
    assert.match(text, /^ENTRYPOINT \["node", "tools\/run\.js"\]$/m, file)
    for (const word of text.match(/deploy\/[\w.-]+\.js/g) ?? []) assert.ok(existsSync(path.join(root, word)) && read('.dockerignore').includes(`!${word}`), word)
  }
})
