// Bootstrap: plain JavaScript for whatever Node (>= 18) the machine has. Installs the npm packages when the lock file
// changed, then runs the command on the Node 24 that came with them (or on the machine's own, if that is new enough).
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')
const startedAtMs = Date.now()
const say = (text) => console.error(`[setup +${((Date.now() - startedAtMs) / 1000).toFixed(1)}s] ${text}`)

function stop(text) {
  console.error(text)
  process.exit(1)
}

function run(command, args, env = {}) {
  return spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], env: { ...process.env, ...env } }).status === 0
}

function installPackages() {
  const want = createHash('sha256').update(readFileSync(path.join(root, 'package-lock.json'))).digest('hex')
  const stamp = path.join(root, 'node_modules/.rubato-installed')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === want) return
  say('installing npm packages (once; about a minute)')
  const args = ['install', '--no-save', '--no-audit', '--no-fund']
  const npmCli = process.env.npm_execpath
  const ok = npmCli ? run(process.execPath, [npmCli, ...args]) : run('npm', args)
  if (!ok) stop('npm install failed; its own output above says why')
  writeFileSync(stamp, want)
  say('packages installed')
}

/** The bundled Node, resolved by package path: npm 10 can lose `.bin/node` when it prunes the other platform's package. */
function bundledNode() {
  const bundled = path.join(root, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node')
  if (existsSync(bundled)) return bundled
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath
  return stop(`No bundled Node for ${process.platform}-${process.arch}. Install Node 24 or newer and run the command again.`)
}

const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin']

function which(name) {
  return [...(process.env.PATH ?? '').split(':'), ...SYSTEM_FOLDERS]
    .map((folder) => path.join(folder, name))
    .find((file) => existsSync(file) && statSync(file).isFile())
}

/** Tests need a real broker. Installed only for them, only as root on Debian, and never when told not to. */
function natsServer() {
  let found = process.env.NATS_SERVER || which('nats-server')
  const mayInstall = process.env.RUBATO_NO_SYSTEM_INSTALL !== '1' && process.getuid?.() === 0 && which('apt-get')
  if (!found && mayInstall) {
    say('nats-server is missing: installing it with apt-get')
    const env = { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
    const install = () => run('apt-get', ['-o', 'DPkg::Lock::Timeout=120', 'install', '-y', '-q', '--no-install-recommends', 'nats-server'], env)
    if (install() || (run('apt-get', ['update', '-q'], env) && install())) found = which('nats-server')
  }
  return found ?? stop('nats-server is not installed. Install it with your package manager, or set NATS_SERVER=/path/to/nats-server.')
}

/** Runs a child on the bundled Node, hands it our signals, and ends with its exit code. */
function exec(node, args, env = {}, cwd = root) {
  // Every step reads the weights and the KV arena in full: transparent huge pages make that 15-20 % faster.
  const hugePages = process.platform === 'linux' && !process.env.GLIBC_TUNABLES ? { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' } : {}
  const child = spawn(node, args, {
    cwd,
    stdio: 'inherit',
    // Compiled code is kept between starts: half the time to load ours.
    env: { NODE_COMPILE_CACHE: path.join(root, 'node_modules/.cache/node-compile'), ...process.env, ...hugePages, ...env, PATH: `${path.dirname(node)}:${process.env.PATH}` },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => stop(error.message))
  child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)))
}

installPackages()
const [entry, ...rest] = process.argv.slice(2)
const node = bundledNode()
if (entry === '--test') exec(node, ['tools/test.ts', ...rest], { NATS_SERVER: natsServer() })
else if (entry === '--check') exec(node, ['tools/test.ts', '--check-only', ...rest])
// Paths on the command line, and ./rubato.yaml, are the caller's: the command runs where it was called.
else exec(node, [path.join(root, 'services/rubato/src/main.ts'), ...process.argv.slice(2)], {}, process.cwd())
