// Values out of a body in Prometheus text format.

/** Sum of the samples of a family that carry these labels; 0 when there is none. */
export function metricSum(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  let sum = 0
  for (const line of text.split('\n')) {
    const [, family, inside = '', value] = /^([\w:]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    if (family === name && wanted.every((pair) => inside.includes(pair))) sum += Number(value)
  }
  return sum
}
