// Profiles on disk: JSON of measured points, one file per (model fingerprint, CPU, threads, largest batch).
import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { CostPoint } from '@rubato/policy'

const FORMAT = 1

/** What a profile holds for; the fingerprint covers weights, precision, block and cell size, and graph. */
export interface ProfileKey {
  readonly modelFingerprint: string
  readonly cpuModel: string
  readonly threads: number
  readonly maxNumSeqs: number
}

export function profileFile(cacheDir: string, key: ProfileKey): string {
  const fields = [FORMAT, key.modelFingerprint, key.cpuModel, key.threads, key.maxNumSeqs]
  const digest = createHash('sha256').update(JSON.stringify(fields)).digest('hex')
  return path.join(cacheDir, 'profiles', `${digest}.json`)
}

/** The points in a file; null when there is no such file, or none that parseProfile takes. */
export async function readProfile(file: string): Promise<readonly CostPoint[] | null> {
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return null
    throw cause
  })
  return text === null ? null : parseProfile(text)
}

/** Written aside and renamed, so that a reader never sees half a profile. */
export async function writeProfile(file: string, key: ProfileKey, points: readonly CostPoint[]): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true })
  const draft = `${file}.${process.pid}.${process.hrtime.bigint()}`
  const lines = points.map((point) => `    ${JSON.stringify(point)}`).join(',\n')
  const head = Object.entries({ format: FORMAT, ...key }).map(([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)},\n`)
  await writeFile(draft, `{\n${head.join('')}  "points": [\n${lines}\n  ]\n}\n`)
  await rename(draft, file)
}

/** Points of a profile's text; null when it is not one. */
export function parseProfile(text: string): readonly CostPoint[] | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (!isRecord(value) || value['format'] !== FORMAT) return null
  const points: unknown = value['points']
  return Array.isArray(points) && points.length > 0 && points.every(isCostPoint) ? points : null
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

const FIELDS: Readonly<Record<CostPoint['kind'], readonly string[]>> = {
  decode: ['batch', 'contextTokens'],
  verify: ['batch', 'nodes', 'contextTokens'],
  cell: ['cellTokens', 'contextTokens'],
}

function isCostPoint(value: unknown): value is CostPoint {
  if (!isRecord(value)) return false
  const { kind, ms } = value
  if (kind !== 'decode' && kind !== 'verify' && kind !== 'cell') return false
  return typeof ms === 'number' && ms > 0 && FIELDS[kind].every((field) => Number.isInteger(value[field]) && (value[field] as number) >= 0)
}
