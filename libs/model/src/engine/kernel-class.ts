// Which family of CPU kernels ONNX Runtime will pick here. Kernels of different width add in another order, so results of
// different classes differ in their last bits and must not share KV.
import { readFileSync } from 'node:fs'
import process from 'node:process'

/** Widest first: the first class whose flags the CPU all has. */
const X64_CLASSES: readonly (readonly [name: string, flags: readonly string[]])[] = [
  ['avx512-vnni', ['avx512f', 'avx512bw', 'avx512dq', 'avx512vl', 'avx512_vnni']],
  ['avx512', ['avx512f', 'avx512bw', 'avx512dq', 'avx512vl']],
  ['avx2', ['avx2', 'fma']],
]

function cpuInfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8')
  } catch {
    return ''
  }
}

/** e.g. `x64-avx512-vnni`, or just the architecture where the CPU does not say more. */
export function cpuKernelClass(): string {
  const flags = new Set(/^flags\s*:(.*)$/m.exec(cpuInfo())?.[1]?.trim().split(' ') ?? [])
  const found = X64_CLASSES.find(([, needed]) => needed.every((flag) => flags.has(flag)))
  return found === undefined ? process.arch : `${process.arch}-${found[0]}`
}

/** The CPU's own name, for profiles that hold only on it. */
export function cpuModel(): string {
  return /^model name\s*:(.*)$/m.exec(cpuInfo())?.[1]?.trim() ?? process.arch
}
