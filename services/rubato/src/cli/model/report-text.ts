// A checkpoint report for people to read.
import type { CheckpointReport } from '@rubato/model/checkpoint'
import { byteText } from '../byte-text.ts'
import { renderTable } from '../table.ts'

/** A verdict, the facts that are known, then every reason why it cannot be served. */
export function renderReport(report: CheckpointReport): string {
  const verdict = `${report.dir}: ${report.supported ? 'can be served' : 'cannot be served'}`
  const known = rowsOf(report).filter((row): row is [string, string] => row[1] !== null)
  const reasons = report.problems.map((problem) => `  - ${problem}`)
  return [verdict, '', renderTable(known), ...(reasons.length > 0 ? ['', 'because', ...reasons] : [])].join('\n')
}

function rowsOf(report: CheckpointReport): [string, string | null][] {
  const { shape } = report
  return [
    ['architecture', report.architecture],
    ['parameters', report.numParameters === null ? null : countText(report.numParameters)],
    ['weights', weightsText(report)],
    ['layers', textOf(shape.numLayers)],
    ['width', joined([[shape.hiddenSize, ''], [shape.intermediateSize, ' in the MLP']])],
    ['heads', joined([[shape.numHeads, ' for queries'], [shape.numKvHeads, ' for keys and values'], [shape.headDim, ' wide']])],
    ['vocabulary', textOf(shape.vocabSize)],
    ['longest context', shape.maxPositions === null ? null : `${shape.maxPositions} tokens`],
    ['KV memory', kvText(report)],
    ['tokenizer', report.hasTokenizer ? 'tokenizer.json' : 'none'],
    ['chat template', report.hasChatTemplate ? 'yes' : 'none: chat requests need --chat-template'],
    ['sampling defaults', defaultsText(report)],
  ]
}

function textOf(value: number | null): string | null {
  return value === null ? null : String(value)
}

function joined(parts: readonly (readonly [number | null, string])[]): string | null {
  const known = parts.filter(([value]) => value !== null).map(([value, words]) => `${value}${words}`)
  return known.length === 0 ? null : known.join(', ')
}

function countText(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(2)} billion`
  return count >= 1e6 ? `${(count / 1e6).toFixed(2)} million` : String(count)
}

function weightsText({ dtype, files }: CheckpointReport): string | null {
  if (files.length === 0) return null
  const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0)
  const where = files.length === 1 ? files[0]!.name : `${files.length} files`
  return `${dtype ?? 'unknown type'}, ${byteText(sizeBytes)} in ${where}`
}

function kvText({ kvBytesPerToken, shape }: CheckpointReport): string | null {
  if (kvBytesPerToken === null) return null
  const longest = shape.maxPositions === null ? '' : `, ${byteText(kvBytesPerToken * shape.maxPositions)} for the longest context`
  return `${byteText(kvBytesPerToken)} per token${longest}`
}

function defaultsText({ generationDefaults }: CheckpointReport): string | null {
  if (generationDefaults === null) return null
  const set = Object.entries(generationDefaults).filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0))
  return set.length === 0 ? 'none' : set.map(([name, value]) => `${name} ${String(value)}`).join(', ')
}
