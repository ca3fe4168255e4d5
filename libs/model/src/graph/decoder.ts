// The whole decoder as one ONNX graph: one session serves prefill cells, decode batches and tree verification.
//
// Inputs:  ids [N], logit_rows [NL] (tokens whose logits are wanted, maybe none), unpad [N] and logit_unpad [NL]
//          (row of a token in the padded [R * q] layout), the attention inputs, per layer `keys_l` / `values_l`
//          [P, K, 1, B, D] (the dense prefix of the arena, in place) and `arena` [2 * layers * slots, K, 1, B, D] with `extra_slots` [E].
// Outputs: logits [NL, vocab] and new_kv [2 * layers * R, K, 1, q, D] (rotated keys of layer l from row 2l * R on, its values from
//          (2l + 1) * R on; padded rows included).
import type { ModelConfig } from '../checkpoint/checkpoint.ts'
import { attention, attentionInputs, declareShapes } from './attention.ts'
import type { AttentionInputs, LayerArena } from './attention.ts'
import { GraphWriter } from './graph-writer.ts'
import type { Value } from './graph-writer.ts'
import { ropeTables } from './rope.ts'
import type { WeightSource } from './weights.ts'

/** Raise when the graph changes in a way that can change bits: it is part of the model fingerprint. */
export const GRAPH_VERSION = 1

const MICROSOFT = { domain: 'com.microsoft' } as const

export interface DecoderOptions {
  readonly blockSize: number
  /** Blocks of the arena plus the dummy. */
  readonly numSlots: number
  /** Positions covered by the rotary tables. */
  readonly maxModelLen: number
}

interface Context {
  readonly graph: GraphWriter
  readonly config: ModelConfig
  readonly weights: WeightSource
  readonly inputs: AttentionInputs
  readonly unpad: Value
  readonly logitUnpad: Value
  readonly logitRows: Value
}

function norm(context: Context, x: Value, weightName: string): Value {
  const { graph, config, weights } = context
  const options = { attributes: { axis: -1, epsilon: { float: config.rmsNormEps }, stash_type: 1 } }
  return graph.node('SimplifiedLayerNormalization', [x, weights.tensor(graph, weightName)], options)
}

/** residual + x, and its norm: one fused node. */
function addAndNorm(context: Context, residual: Value, x: Value, weightName: string): { sum: Value; normed: Value } {
  const { graph, config, weights } = context
  const normed = `${x}_normed`
  const sum = `${x}_sum`
  graph.nodes('SkipSimplifiedLayerNormalization', [residual, x, weights.tensor(graph, weightName)], [normed, '', '', sum], {
    ...MICROSOFT,
    attributes: { epsilon: { float: config.rmsNormEps } },
  })
  return { sum, normed }
}

/** RMS norm over each head of [N, heads * D] (Qwen3). */
function headNorm(context: Context, x: Value, numHeads: number, weightName: string): Value {
  const { graph, config } = context
  const split = graph.node('Reshape', [x, graph.int64s(`${x}_split`, [-1, numHeads, config.headDim])])
  return graph.node('Reshape', [norm(context, split, weightName), graph.int64s(`${x}_joined`, [-1, numHeads * config.headDim])])
}

interface LayerState {
  readonly residual: Value
  readonly normed: Value
}

function attentionBlock(context: Context, prefix: string, normed: Value, arena: LayerArena): { out: Value; k: Value; v: Value } {
  const { graph, config, weights } = context
  const [q, k, v] = ['q_proj', 'k_proj', 'v_proj'].map((name) => weights.linear(graph, normed, `${prefix}.self_attn.${name}`)) as [Value, Value, Value]
  const qNormed = config.qkNorm ? headNorm(context, q, config.numHeads, `${prefix}.self_attn.q_norm.weight`) : q
  const kNormed = config.qkNorm ? headNorm(context, k, config.numKvHeads, `${prefix}.self_attn.k_norm.weight`) : k
  const { out, newKeys, newValues } = attention(graph, context.inputs, arena, { q: qNormed, k: kNormed, v })
  return { out, k: newKeys, v: newValues }
}

function mlp(context: Context, prefix: string, x: Value): Value {
  const { graph, weights } = context
  const gate = weights.linear(graph, x, `${prefix}.mlp.gate_proj`)
  const up = weights.linear(graph, x, `${prefix}.mlp.up_proj`)
  const silu = graph.node('QuickGelu', [gate], { ...MICROSOFT, attributes: { alpha: { float: 1 } } })
  return weights.linear(graph, graph.node('Mul', [silu, up]), `${prefix}.mlp.down_proj`)
}

/** One layer; the last one goes on after attention with only the rows whose logits are wanted. */
function layer(context: Context, index: number, state: LayerState, arena: LayerArena): { next: LayerState; k: Value; v: Value } {
  const { graph, config, weights } = context
  const last = index === config.numLayers - 1
  const prefix = `model.layers.${index}`
  const { out, k, v } = attentionBlock(context, prefix, state.normed, arena)
  const rows = graph.node('Gather', [out, last ? context.logitUnpad : context.unpad], { attributes: { axis: 0 } })
  const residual = last ? graph.node('Gather', [state.residual, context.logitRows], { attributes: { axis: 0 } }) : state.residual
  const projected = weights.linear(graph, rows, `${prefix}.self_attn.o_proj`)
  const mid = addAndNorm(context, residual, projected, `${prefix}.post_attention_layernorm.weight`)
  const down = mlp(context, prefix, mid.normed)
  const end = addAndNorm(context, mid.sum, down, last ? 'model.norm.weight' : `model.layers.${index + 1}.input_layernorm.weight`)
  return { next: { residual: end.sum, normed: end.normed }, k, v }
}

function layerArenas(graph: GraphWriter, config: ModelConfig, options: DecoderOptions): LayerArena[] {
  const block = [config.numKvHeads, 1, options.blockSize, config.headDim]
  const arena = graph.input('arena', 'float32', ['arena_rows', ...block])
  const extraSlots = graph.input('extra_slots', 'int32', ['extra'])
  const extra = (plane: number): Value => {
    const offset = graph.constant(`plane_${plane}`, 'int32', [1], Int32Array.of(plane * options.numSlots))
    return graph.node('Gather', [arena, graph.node('Add', [extraSlots, offset])], { attributes: { axis: 0 } })
  }
  return Array.from({ length: config.numLayers }, (_, index) => ({
    denseKeys: graph.input(`keys_${index}`, 'float32', ['dense', ...block]),
    denseValues: graph.input(`values_${index}`, 'float32', ['dense', ...block]),
    extraKeys: extra(2 * index),
    extraValues: extra(2 * index + 1),
  }))
}

/** Shapes, and rotary tables: for queries the same times 1 / sqrt(D), which saves a product per layer. */
function declareConstants(graph: GraphWriter, config: ModelConfig, { maxModelLen: numPositions, blockSize }: DecoderOptions): void {
  const half = config.headDim / 2
  const { cos, sin } = ropeTables(config, numPositions)
  const scale = 1 / Math.sqrt(config.headDim)
  const table = (name: string, values: Float32Array): Value => graph.constant(name, 'float32', [numPositions, half], values)
  table('rope_cos', cos)
  table('rope_sin', sin)
  table('rope_scaled_cos', cos.map((value) => value * scale))
  table('rope_scaled_sin', sin.map((value) => value * scale))
  declareShapes(graph, config, blockSize)
}

/** Serialised ONNX model of a checkpoint; the weights stay in their files. */
export function buildDecoder(config: ModelConfig, weights: WeightSource, options: DecoderOptions): Uint8Array {
  const graph = new GraphWriter()
  declareConstants(graph, config, options)
  const ids = graph.input('ids', 'int32', ['tokens'])
  const context: Context = {
    graph,
    config,
    weights,
    logitRows: graph.input('logit_rows', 'int32', ['wanted']),
    unpad: graph.input('unpad', 'int32', ['tokens']),
    logitUnpad: graph.input('logit_unpad', 'int32', ['wanted']),
    inputs: attentionInputs(graph),
  }
  const arenas = layerArenas(graph, config, options)
  const embedding = weights.tensor(graph, 'model.embed_tokens.weight')
  const embedded = graph.node('Gather', [embedding, ids], { attributes: { axis: 0 } })
  let state: LayerState = { residual: embedded, normed: norm(context, embedded, 'model.layers.0.input_layernorm.weight') }
  const newKv: Value[] = []
  for (const [index, arena] of arenas.entries()) {
    const { next, k, v } = layer(context, index, state, arena)
    newKv.push(k, v)
    state = next
  }
  graph.nodes('Concat', newKv, ['new_kv'], { attributes: { axis: 0 } })
  graph.output('new_kv', 'float32', ['new_rows', config.numKvHeads, 1, 'q', config.headDim])
  const logits = weights.linear(graph, state.normed, config.tiedEmbeddings ? 'model.embed_tokens' : 'lm_head')
  graph.node('Identity', [logits], {}, 'logits')
  graph.output('logits', 'float32', ['wanted', config.vocabSize])
  return graph.serialise('rubato-decoder')
}
