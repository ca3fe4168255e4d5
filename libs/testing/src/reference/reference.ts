// A plain float64 forward of the Llama family: the yardstick for the engine. Written from the architecture's definition,
// without ONNX and without any code of the runtime; loops only, so for tiny models.
import { rotateHalf, rotaryFrequencies } from './reference-rope.ts'
import { readReferenceWeights } from './reference-weights.ts'
import type { RawConfig, ReferenceWeights } from './reference-weights.ts'

export interface ReferenceInput {
  readonly tokenIds: readonly number[]
  /** Position of each token; default 0, 1, 2... A tree node's is the prefix length plus its depth. */
  readonly positions?: readonly number[]
  /** Whether the token at `queryIndex` attends to the one at `keyIndex` (indices into tokenIds); default causal. */
  readonly attends?: (queryIndex: number, keyIndex: number) => boolean
}

/** Shape of the model, read from config.json alone. */
interface Shape {
  readonly hiddenSize: number
  readonly numLayers: number
  readonly numHeads: number
  readonly numKvHeads: number
  readonly headDim: number
  readonly eps: number
  readonly tied: boolean
}

/** Loads a checkpoint directory as float64. */
export function loadReference(dir: string): Reference {
  return new Reference(readReferenceWeights(dir))
}

export class Reference {
  readonly #shape: Shape
  readonly #tensors: ReadonlyMap<string, Float64Array>
  readonly #frequencies: Float64Array

  constructor(weights: ReferenceWeights) {
    this.#shape = shapeOf(weights.config)
    this.#tensors = weights.tensors
    this.#frequencies = rotaryFrequencies(weights.config, this.#shape.headDim)
  }

  /** Logits of every token, each of length vocabSize. */
  forward(input: ReferenceInput): Float64Array[] {
    const { hiddenSize, numLayers, tied } = this.#shape
    const embedding = this.#tensor('model.embed_tokens.weight')
    let states: Float64Array[] = input.tokenIds.map((id) => {
      if (!(id >= 0 && (id + 1) * hiddenSize <= embedding.length)) throw new Error(`token id ${id} is not in the vocabulary`)
      return embedding.slice(id * hiddenSize, (id + 1) * hiddenSize)
    })
    for (let layer = 0; layer < numLayers; layer++) states = this.#layer(`model.layers.${layer}`, states, input)
    return states.map((state) => multiply(this.#tensor(tied ? 'model.embed_tokens.weight' : 'lm_head.weight'), this.#norm('model.norm', state)))
  }

  #layer(prefix: string, states: readonly Float64Array[], input: ReferenceInput): Float64Array[] {
    const attended = this.#attention(`${prefix}.self_attn`, states.map((state) => this.#norm(`${prefix}.input_layernorm`, state)), input)
    return states.map((state, token) => {
      const residual = add(state, attended[token]!)
      return add(residual, this.#mlp(`${prefix}.mlp`, this.#norm(`${prefix}.post_attention_layernorm`, residual)))
    })
  }

  #mlp(prefix: string, state: Float64Array): Float64Array {
    const gate = this.#project(`${prefix}.gate_proj`, state)
    const up = this.#project(`${prefix}.up_proj`, state)
    return this.#project(`${prefix}.down_proj`, gate.map((value, i) => (value / (1 + Math.exp(-value))) * up[i]!))
  }

  #attention(prefix: string, states: readonly Float64Array[], input: ReferenceInput): Float64Array[] {
    const { numHeads, numKvHeads, headDim } = this.#shape
    const position = (token: number): number => input.positions?.[token] ?? token
    const attends = input.attends ?? ((query, key) => key <= query)
    const queries = states.map((state, token) => this.#heads(prefix, 'q', state, position(token)))
    const keys = states.map((state, token) => this.#heads(prefix, 'k', state, position(token)))
    const values = states.map((state) => splitHeads(this.#project(`${prefix}.v_proj`, state), headDim))
    return states.map((_, query) => {
      const seen = states.map((_state, key) => key).filter((key) => attends(query, key))
      const mixed = new Float64Array(numHeads * headDim)
      for (let head = 0; head < numHeads; head++) {
        const kvHead = Math.floor(head / (numHeads / numKvHeads))
        const scores = seen.map((key) => dot(queries[query]![head]!, keys[key]![kvHead]!) / Math.sqrt(headDim))
        softmax(scores).forEach((weight, i) => {
          const value = values[seen[i]!]![kvHead]!
          for (let d = 0; d < headDim; d++) mixed[head * headDim + d]! += weight * value[d]!
        })
      }
      return this.#project(`${prefix}.o_proj`, mixed)
    })
  }

  /** Query or key heads of one token: projected, normed where the family does so, then rotated. */
  #heads(prefix: string, kind: 'q' | 'k', state: Float64Array, position: number): Float64Array[] {
    const norm = `${prefix}.${kind}_norm`
    return splitHeads(this.#project(`${prefix}.${kind}_proj`, state), this.#shape.headDim).map((head) => {
      const normed = this.#tensors.has(`${norm}.weight`) ? this.#norm(norm, head) : head
      rotateHalf(normed, position, this.#frequencies)
      return normed
    })
  }

  #project(name: string, input: Float64Array): Float64Array {
    const output = multiply(this.#tensor(`${name}.weight`), input)
    const bias = this.#tensors.get(`${name}.bias`)
    return bias === undefined ? output : add(output, bias)
  }

  #norm(name: string, input: Float64Array): Float64Array {
    const weight = this.#tensor(`${name}.weight`)
    const scale = 1 / Math.sqrt(dot(input, input) / input.length + this.#shape.eps)
    return input.map((value, i) => value * scale * weight[i]!)
  }

  #tensor(name: string): Float64Array {
    const tensor = this.#tensors.get(name)
    if (tensor === undefined) throw new Error(`the checkpoint has no ${name}`)
    return tensor
  }
}

function shapeOf(config: RawConfig): Shape {
  const hiddenSize = Number(config['hidden_size'])
  const numHeads = Number(config['num_attention_heads'])
  return {
    hiddenSize,
    numHeads,
    numLayers: Number(config['num_hidden_layers']),
    numKvHeads: Number(config['num_key_value_heads'] ?? numHeads),
    headDim: Number(config['head_dim'] ?? hiddenSize / numHeads),
    eps: Number(config['rms_norm_eps']),
    tied: config['tie_word_embeddings'] === true,
  }
}

/** Row-major [out, in] times [in]. */
function multiply(matrix: Float64Array, input: Float64Array): Float64Array {
  const width = input.length
  const output = new Float64Array(matrix.length / width)
  for (let row = 0; row < output.length; row++) {
    let sum = 0
    for (let i = 0, at = row * width; i < width; i++, at++) sum += matrix[at]! * input[i]!
    output[row] = sum
  }
  return output
}

function splitHeads(flat: Float64Array, headDim: number): Float64Array[] {
  return Array.from({ length: flat.length / headDim }, (_, head) => flat.slice(head * headDim, (head + 1) * headDim))
}

function add(left: Float64Array, right: Float64Array): Float64Array {
  return left.map((value, i) => value + right[i]!)
}

function dot(left: Float64Array, right: Float64Array): number {
  let sum = 0
  for (let i = 0; i < left.length; i++) sum += left[i]! * right[i]!
  return sum
}

function softmax(scores: readonly number[]): number[] {
  const max = Math.max(...scores)
  const weights = scores.map((score) => Math.exp(score - max))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return weights.map((weight) => weight / total)
}
