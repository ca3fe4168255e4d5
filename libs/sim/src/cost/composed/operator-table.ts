// Measured times of a layer's operators, all but attention: Vidur's tables over tokens per step and tensor parallel degree.
import { csvRows, numberIn, textIn } from '../csv.ts'
import type { CsvRow } from '../csv.ts'
import { layerWeights } from '../machine/model-architectures.ts'
import type { LayerShape } from '../machine/model-architectures.ts'
import { curveThrough, indexAtLeast } from '../curve.ts'
import type { Curve } from '../curve.ts'
import { ceilToTile } from './tile.ts'

/** Vidur's names; the embedding is left out, it runs once per step and takes next to nothing. */
const OPERATORS = [
  'input_layernorm', 'attn_pre_proj', 'attn_rope', 'attn_post_proj', 'post_attention_layernorm', 'mlp_up_proj', 'mlp_act', 'mlp_down_proj', 'add',
] as const
type Operator = (typeof OPERATORS)[number]

export interface OperatorTable {
  /** The model it was measured with. */
  readonly shape: LayerShape
  /** Its rows by tensor parallel degree: times of one layer's operators at so many tokens. */
  readonly byTp: ReadonlyMap<number, readonly CsvRow[]>
}

function shapeOf(row: CsvRow): LayerShape {
  const [hiddenSize, numHeads] = [numberIn(row, 'n_embd'), numberIn(row, 'n_head')]
  return {
    hiddenSize, numHeads, numKvHeads: numberIn(row, 'n_kv_head'), headDim: hiddenSize / numHeads, ffnSize: numberIn(row, 'n_expanded_embd'),
    hasGatedMlp: textIn(row, 'use_gated_mlp') === 'True',
  }
}

/** Milliseconds over tokens, by operator. */
function curvesOf(rows: readonly CsvRow[]): Readonly<Record<Operator, Curve>> {
  const curves = OPERATORS.map((operator) => [operator, curveThrough(rows.map((row) => ({ x: numberIn(row, 'num_tokens'), y: numberIn(row, `time_stats.${operator}.median`) })))])
  return Object.fromEntries(curves) as Record<Operator, Curve>
}

/** Throws RangeError where the table is empty. */
export function parseOperatorTable(csv: string): OperatorTable {
  const rows = csvRows(csv)
  if (rows[0] === undefined) throw new RangeError('an operator table needs rows')
  return { shape: shapeOf(rows[0]), byTp: Map.groupBy(rows, (row) => numberIn(row, 'num_tensor_parallel_workers')) }
}

/** How much more an operator of one model does than that of another: weights of projections, widths of the rest. */
function operatorRatios(model: LayerShape, measured: LayerShape): Readonly<Record<Operator, number>> {
  const [own, base] = [layerWeights(model), layerWeights(measured)]
  const hidden = model.hiddenSize / measured.hiddenSize
  return {
    input_layernorm: hidden, post_attention_layernorm: hidden, add: hidden,
    attn_pre_proj: own.qkv / base.qkv,
    attn_rope: ((model.numHeads + model.numKvHeads) * model.headDim) / ((measured.numHeads + measured.numKvHeads) * measured.headDim),
    attn_post_proj: own.attentionOut / base.attentionOut,
    mlp_up_proj: own.mlpUp / base.mlpUp,
    mlp_act: model.ffnSize / measured.ffnSize,
    mlp_down_proj: own.mlpDown / base.mlpDown,
  }
}

/**
 * Milliseconds of one layer over tokens, as the operators of `model` would take that differ from the measured ones by their
 * sizes only. A number of tokens that was not measured counts as the next measured one: kernels pad to tiles, and the table
 * is dense enough (8 tokens up to 1,024, 16 up to 2,048, 32 above) to hold their steps. Past its end whole tiles cost what
 * they did in its upper half. Throws RangeError for a tensor parallel degree that was not measured, or a field that is no
 * number.
 */
export function tabledLayerMs(table: OperatorTable, model: LayerShape, tp: number): (tokens: number) => number {
  const rows = table.byTp.get(tp)
  if (rows === undefined) throw new RangeError(`operators were measured with tp ${[...table.byTp.keys()].join(', ')}, not ${tp}`)
  const curves = curvesOf(rows)
  const ratios = operatorRatios(model, table.shape)
  const { xs } = curves.add
  const layerMs = xs.map((_, i) => OPERATORS.reduce((sum, operator) => sum + ratios[operator] * curves[operator].ys[i]!, 0))
  const last = xs.length - 1
  const half = indexAtLeast(xs, xs[last]! / 2)
  const slopeMs = (layerMs[last]! - layerMs[half]!) / (xs[last]! - xs[half]!)
  return (tokens) => (tokens > xs[last]! ? layerMs[last]! + slopeMs * (ceilToTile(tokens) - xs[last]!) : layerMs[indexAtLeast(xs, tokens)]!)
}
