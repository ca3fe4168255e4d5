// Sizes in bytes for people to read.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** e.g. `320 B`, `1.5 GiB`. */
export function byteText(sizeBytes: number): string {
  const power = sizeBytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(sizeBytes) / 10))
  const value = sizeBytes / 1024 ** power
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${UNITS[power]}`
}
