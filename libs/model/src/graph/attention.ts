// Page-native attention: scores and values are computed block by block on the KV arena itself, so that no KV is gathered
// or padded. Only the small score tensor is re-gathered into rows per request for the softmax.
//
// Shapes. R requests, q new tokens each (padded), K kv heads, G query heads per kv head, D head size, B tokens per block,
// M blocks of the longest request, T = M * B. P dense blocks are the arena's first P slots, read in place; E extra blocks
// are gathered (blocks outside the dense prefix, and further owners of a shared one). A block index below P is dense, from P on extra.
//
//   scores of past   Q[owner] x keys^T        [P+E, K, G, q, B] -> gather by (block, request) -> [R, K, G, q, T]
//   scores of new    Q x new keys^T           [R, K, G, q, q]
//   probabilities    softmax(concat + mask)   [R, K, G, q, T+q]
//   values           past by block and back, summed over a request's blocks, plus new
//
// G and q stay apart in every product: at q = 1 each is one row, which streams a block from memory at full speed, where a
// product of G rows first packs the block (measured 1.5 times slower on blocks that are not in cache).
//
// Block products are summed as a product with a row of ones: ten times faster than the reduction kernel, and it adds pair
// after pair, so that the zeros behind a request's last block, whose number its neighbours decide (always even:
// engine/run-inputs.ts), leave the sum's bits as they are.
import type { ModelConfig } from '../checkpoint/checkpoint.ts'
import type { GraphWriter, Value } from './graph-writer.ts'

const MICROSOFT = { domain: 'com.microsoft' } as const
const TRANSPOSE_B = { ...MICROSOFT, attributes: { transB: 1 } } as const

/** Index and shape inputs shared by all layers. */
export interface AttentionInputs {
  /** Positions of the padded tokens, [R, q]. */
  readonly positions: Value
  readonly pad: Value
  readonly owner: Value
  readonly extraOwner: Value
  readonly blockIndex: Value
  readonly denseInverse: Value
  readonly extraInverse: Value
  readonly mask: Value
  /** [1, M] of ones: sums over blocks. */
  readonly blockOnes: Value
  readonly shapes: {
    readonly blockRows: Value
    readonly heads: Value
    readonly splitPastNew: Value
  }
}

export interface LayerArena {
  readonly denseKeys: Value
  readonly denseValues: Value
  readonly extraKeys: Value
  readonly extraValues: Value
}

/** Declares the index inputs; their meaning is at the top of this file, their construction in engine/run-inputs.ts. */
export function attentionInputs(graph: GraphWriter): AttentionInputs {
  const shape = (name: string, rank: number): Value => graph.input(name, 'int64', [rank])
  return {
    positions: graph.input('positions', 'int64', ['requests', 'q']),
    pad: graph.input('pad', 'int32', ['requests', 'q']),
    owner: graph.input('owner', 'int32', ['dense']),
    extraOwner: graph.input('extra_owner', 'int32', ['extra']),
    blockIndex: graph.input('block_index', 'int32', ['max_blocks', 'requests']),
    denseInverse: graph.input('dense_inverse', 'int32', ['dense']),
    extraInverse: graph.input('extra_inverse', 'int32', ['extra']),
    mask: graph.input('mask', 'float32', ['requests', 1, 1, 'q', 'past_and_new']),
    blockOnes: graph.input('block_ones', 'float32', [1, 'max_blocks']),
    shapes: {
      blockRows: shape('shape_block_rows', 5),
      heads: shape('shape_heads', 5),
      splitPastNew: shape('split_past_new', 2),
    },
  }
}

function gather(graph: GraphWriter, data: Value, indices: Value): Value {
  return graph.node('Gather', [data, indices], { attributes: { axis: 0 } })
}

function transpose(graph: GraphWriter, x: Value, perm: readonly number[]): Value {
  return graph.node('Transpose', [x], { attributes: { perm: { ints: perm } } })
}

/** Products of every dense and every extra block with the rows of its owner: [P + E, ...]. */
function perBlock(graph: GraphWriter, rows: Value, sides: readonly { index: Value; blocks: Value }[], opType: 'FusedMatMul' | 'MatMul'): Value {
  const options = opType === 'FusedMatMul' ? TRANSPOSE_B : {}
  const products = sides.map(({ index, blocks }) => graph.node(opType, [gather(graph, rows, index), blocks], options))
  return graph.node('Concat', products, { attributes: { axis: 0 } })
}

/** Target shapes that the model alone decides; 0 keeps the input's size, -1 takes what is left. */
export function declareShapes(graph: GraphWriter, config: ModelConfig, blockSize: number): void {
  const { numHeads, numKvHeads, headDim } = config
  graph.int64s('to_queries', [0, 0, numKvHeads, numHeads / numKvHeads, headDim])
  graph.int64s('to_keys', [0, 0, numKvHeads, 1, headDim])
  graph.int64s('to_past_scores', [0, 0, 0, 0, -1])
  graph.int64s('to_past_blocks', [0, 0, 0, 0, -1, blockSize])
  graph.int64s('to_rows', [-1, numHeads * headDim])
}

export interface AttentionOutputs {
  /** [R * q, H * D], padded rows included. */
  readonly out: Value
  /** Rotated keys and values of the new tokens, [R, K, 1, q, D]. */
  readonly newKeys: Value
  readonly newValues: Value
}

/** Attention of the new tokens over their past blocks and each other. `q`, `k`, `v` are [N, heads * D], not yet rotated. */
export function attention(graph: GraphWriter, inputs: AttentionInputs, arena: LayerArena, qkv: { q: Value; k: Value; v: Value }): AttentionOutputs {
  const { shapes } = inputs
  const rotate = (x: Value, table: string): Value =>
    graph.node('RotaryEmbedding', [gather(graph, x, inputs.pad), inputs.positions, `${table}_cos`, `${table}_sin`], MICROSOFT)
  const split = (x: Value, shape: Value): Value => transpose(graph, graph.node('Reshape', [x, shape]), [0, 2, 3, 1, 4])
  const queries = split(rotate(qkv.q, 'rope_scaled'), 'to_queries')
  const newKeys = split(rotate(qkv.k, 'rope'), 'to_keys')
  const newValues = split(gather(graph, qkv.v, inputs.pad), 'to_keys')

  const keySides = [{ index: inputs.owner, blocks: arena.denseKeys }, { index: inputs.extraOwner, blocks: arena.extraKeys }]
  const blockScores = gather(graph, perBlock(graph, queries, keySides, 'FusedMatMul'), inputs.blockIndex)
  const pastScores = graph.node('Reshape', [transpose(graph, blockScores, [1, 2, 3, 4, 0, 5]), 'to_past_scores'])
  const newScores = graph.node('FusedMatMul', [queries, newKeys], TRANSPOSE_B)
  const scores = graph.node('Concat', [pastScores, newScores], { attributes: { axis: -1 } })
  const probabilities = graph.node('Softmax', [graph.node('Add', [scores, inputs.mask])], { attributes: { axis: -1 } })
  const [past, fresh] = [`${probabilities}_past`, `${probabilities}_new`]
  graph.nodes('Split', [probabilities, shapes.splitPastNew], [past, fresh], { attributes: { axis: -1 } })

  const byBlock = transpose(graph, graph.node('Reshape', [past, 'to_past_blocks']), [0, 4, 1, 2, 3, 5])
  const blockRows = graph.node('Reshape', [byBlock, shapes.blockRows])
  const valueSides = [{ index: inputs.denseInverse, blocks: arena.denseValues }, { index: inputs.extraInverse, blocks: arena.extraValues }]
  const blockOut = gather(graph, perBlock(graph, blockRows, valueSides, 'MatMul'), inputs.blockIndex)
  const summed = graph.node('MatMul', [inputs.blockOnes, graph.node('Flatten', [blockOut], { attributes: { axis: 1 } })])
  const pastOut = graph.node('Reshape', [summed, shapes.heads])
  const out = graph.node('Add', [pastOut, graph.node('MatMul', [fresh, newValues])])
  return { out: graph.node('Reshape', [transpose(graph, out, [0, 3, 1, 2, 4]), 'to_rows']), newKeys, newValues }
}
