// The data files at the root of the repository (data/README.md names their sources): the only I/O of the cost models.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { gunzipSync } from 'node:zlib'
import { parseDistServeCapacity, parseDistServeProfile } from './distserve/distserve-profile.ts'
import type { DistServeCapacity, DistServeProfile } from './distserve/distserve-profile.ts'
import { parseNetworkTable } from './composed/network-table.ts'
import type { Collective } from './composed/network-table.ts'
import { parseOperatorTable } from './composed/operator-table.ts'
import type { OperatorTable } from './composed/operator-table.ts'
import { parseSarathiSteps } from './composed/sarathi-steps.ts'
import type { SarathiSteps } from './composed/sarathi-steps.ts'
import type { Curve } from './curve.ts'
import { parseSplitwiseProfile } from './splitwise/splitwise-profile.ts'
import type { SplitwiseRow } from './splitwise/splitwise-profile.ts'

const DATA_FOLDER = path.resolve(import.meta.dirname, '../../../../data')

/** Where a data file lies, given its path below data/. */
function dataFile(relative: string): string {
  return path.join(DATA_FOLDER, relative)
}

/** Text of a data file, unpacked where its name ends in .gz. Throws the file system's error when there is none. */
export function readDataText(relative: string): string {
  const bytes = readFileSync(dataFile(relative))
  return (relative.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')
}

export function loadSplitwiseProfile(): readonly SplitwiseRow[] {
  return parseSplitwiseProfile(readDataText('splitwise-sim/perf_model.csv'))
}

/** `engine`: DistServe's own, or vLLM as DistServe measured it. */
export function loadDistServeProfile(engine: 'distserve' | 'vllm'): DistServeProfile {
  return parseDistServeProfile(readDataText(`distserve/profiler-a100-80g.${engine}.json`))
}

export function loadDistServeCapacity(): DistServeCapacity {
  return parseDistServeCapacity(readDataText('distserve/max_num_tokens.csv'))
}

/** `name` as the file's: GPU and model. */
export function loadOperatorTable(name: string): OperatorTable {
  return parseOperatorTable(readDataText(`vidur/mlp/${name}.csv.gz`))
}

/** `machine` as the file's. Throws RangeError when so many devices were not measured. */
export function loadNetworkTable(machine: string, collective: Collective, numDevices: number): Curve {
  return parseNetworkTable(readDataText(`vidur/network/${machine}_${collective}.csv.gz`), collective, numDevices)
}

export function loadSarathiSteps(): SarathiSteps {
  return parseSarathiSteps(readDataText('sarathi-serve/yi34b_tp2_prefill.csv'), readDataText('sarathi-serve/yi34b_tp2_decode.csv'))
}
