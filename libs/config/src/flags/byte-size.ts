// Sizes in bytes as people write them.

const UNIT_BYTES: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['b', 1],
  ['kb', 1e3],
  ['mb', 1e6],
  ['gb', 1e9],
  ['tb', 1e12],
  ['kib', 2 ** 10],
  ['mib', 2 ** 20],
  ['gib', 2 ** 30],
  ['tib', 2 ** 40],
])

/** Bytes of `1073741824`, `512MiB` or `1.5 GB` (any case; fractions round down); undefined for anything else. */
export function parseByteSize(text: string): number | undefined {
  const [, amount, unit] = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text) ?? []
  const unitBytes = UNIT_BYTES.get((unit ?? '').toLowerCase())
  return amount === undefined || unitBytes === undefined ? undefined : Math.floor(Number(amount) * unitBytes)
}
