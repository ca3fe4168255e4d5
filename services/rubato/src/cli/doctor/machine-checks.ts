// The machine: Node, memory, huge pages, the tools that tests need.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import type { CliContext } from '../context.ts'
import { byteText } from '../byte-text.ts'
import { ok, problem } from './finding.ts'
import type { Finding } from './finding.ts'

const MIN_NODE_MAJOR = 24
const MIN_FREE_BYTES = 512 * 2 ** 20
const THP_FILE = '/sys/kernel/mm/transparent_hugepage/enabled'
const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin']

export function nodeVersion(): Finding {
  const detail = `${process.version} for ${process.platform}-${process.arch}`
  if (Number(process.versions.node.split('.')[0]) >= MIN_NODE_MAJOR) return ok('node', detail)
  return problem('failed', 'node', detail, `start through npm start or npx rubato, which bring Node ${MIN_NODE_MAJOR} along`)
}

/** `usedKvBytes` is what the configured KV cache will take. */
export async function memory(kvCacheBytes: number): Promise<Finding> {
  const freeBytes = await availableBytes()
  const detail = `${byteText(freeBytes)} available of ${byteText(os.totalmem())}; the KV cache takes ${byteText(kvCacheBytes)}`
  if (freeBytes >= kvCacheBytes + MIN_FREE_BYTES) return ok('memory', detail)
  return problem('warning', 'memory', detail, 'lower --kv-cache-memory-bytes, or free some memory')
}

/** What the kernel could hand out, page cache included; os.freemem() where it does not say. */
async function availableBytes(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '')
  const kilobytes = /^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1]
  return Math.min(kilobytes === undefined ? os.freemem() : Number(kilobytes) * 1024, process.availableMemory())
}

/** The KV arena and the weights are read in full at every step: with 4 KiB pages that costs 15-20 % more. */
export function hugePages({ env }: CliContext): Finding {
  const name = 'huge pages'
  if (!existsSync(THP_FILE)) return { name, status: 'absent', detail: `${THP_FILE} does not exist here`, fix: null }
  const mode = /\[(\w+)\]/.exec(readFileSync(THP_FILE, 'utf8'))?.[1] ?? 'unknown'
  const asked = /glibc\.malloc\.hugetlb=[12]/.test(env['GLIBC_TUNABLES'] ?? '')
  if (mode === 'always') return ok(name, 'always on')
  if (mode === 'madvise' && asked) return ok(name, 'on request, and requested through GLIBC_TUNABLES')
  if (mode === 'madvise') return problem('warning', name, 'on request, but not requested', 'start through npm start or npx rubato, or set GLIBC_TUNABLES=glibc.malloc.hugetlb=1')
  return problem('warning', name, `transparent huge pages are set to ${mode}`, `as root: echo madvise > ${THP_FILE}`)
}

export function natsServer({ env }: CliContext): Finding {
  const folders = [...(env['PATH'] ?? '').split(path.delimiter), ...SYSTEM_FOLDERS]
  const candidates = [env['NATS_SERVER'] ?? '', ...folders.map((folder) => path.join(folder, 'nats-server'))]
  const found = candidates.find((file) => file !== '' && existsSync(file) && statSync(file).isFile())
  if (found !== undefined) return ok('nats-server', found)
  return problem('warning', 'nats-server', 'not found; rubato serve does not need it, npm test does', 'install it with your package manager, or set NATS_SERVER=/path/to/nats-server')
}
