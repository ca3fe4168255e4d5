// Collects nodes, initializers, inputs and outputs of one ONNX graph and serialises it.
// Values are named strings; a node method returns the name(s) of what it produces.
import { ATTRIBUTE_TYPE, DATA_TYPE, encodeModel } from './onnx-proto.ts'
import type { OnnxDataType } from './onnx-proto.ts'

export type Value = string
export type Dim = number | string
export type AttributeValue = number | string | { readonly float: number } | { readonly ints: readonly number[] }

export interface NodeOptions {
  readonly domain?: 'com.microsoft'
  readonly attributes?: Readonly<Record<string, AttributeValue>>
}

/** Bytes of an initializer inside a file of the folder that the session resolves names against. */
export interface ExternalData {
  readonly fileName: string
  readonly offsetBytes: number
  readonly sizeBytes: number
}

const MAIN_OPSET = 24
const IR_VERSION = 11

function attribute(name: string, value: AttributeValue): Record<string, unknown> {
  if (typeof value === 'number') return { name, i: value, type: ATTRIBUTE_TYPE.int }
  if (typeof value === 'string') return { name, s: Buffer.from(value), type: ATTRIBUTE_TYPE.string }
  if ('float' in value) return { name, f: value.float, type: ATTRIBUTE_TYPE.float }
  return { name, ints: [...value.ints], type: ATTRIBUTE_TYPE.ints }
}

function valueInfo(name: string, type: OnnxDataType, shape: readonly Dim[]): Record<string, unknown> {
  const dim = shape.map((size) => (typeof size === 'number' ? { dim_value: size } : { dim_param: size }))
  return { name, type: { tensor_type: { elem_type: DATA_TYPE[type], shape: { dim } } } }
}

export class GraphWriter {
  readonly #nodes: Record<string, unknown>[] = []
  readonly #initializers: Record<string, unknown>[] = []
  readonly #inputs: Record<string, unknown>[] = []
  readonly #outputs: Record<string, unknown>[] = []
  readonly #weights = new Map<string, Value>()
  #counter = 0

  input(name: string, type: OnnxDataType, shape: readonly Dim[]): Value {
    this.#inputs.push(valueInfo(name, type, shape))
    return name
  }

  output(name: Value, type: OnnxDataType, shape: readonly Dim[]): void {
    this.#outputs.push(valueInfo(name, type, shape))
  }

  external(name: string, type: OnnxDataType, shape: readonly number[], data: ExternalData): Value {
    const entries = { location: data.fileName, offset: String(data.offsetBytes), length: String(data.sizeBytes) }
    const external_data = Object.entries(entries).map(([key, value]) => ({ key, value }))
    this.#initializers.push({ name, data_type: DATA_TYPE[type], dims: [...shape], external_data, data_location: 1 })
    return name
  }

  /** A stored weight as a value to compute with: declared once per graph, half precision cast to float32. */
  weight(name: string, type: OnnxDataType, shape: readonly number[], data: ExternalData): Value {
    const known = this.#weights.get(name)
    if (known !== undefined) return known
    const stored = this.external(name, type, shape, data)
    const isHalf = type === 'float16' || type === 'bfloat16'
    const value = isHalf ? this.node('Cast', [stored], { attributes: { to: DATA_TYPE.float32 } }) : stored
    this.#weights.set(name, value)
    return value
  }

  constant(name: string, type: OnnxDataType, shape: readonly number[], data: ArrayBufferView): Value {
    const raw_data = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    this.#initializers.push({ name, data_type: DATA_TYPE[type], dims: [...shape], raw_data })
    return name
  }

  int64s(name: string, values: readonly number[]): Value {
    return this.constant(name, 'int64', [values.length], BigInt64Array.from(values, BigInt))
  }

  /** Adds a node with one output and returns it; `output` names it when it must be found later. */
  node(opType: string, inputs: readonly Value[], options: NodeOptions = {}, output?: string): Value {
    const name = output ?? `t${this.#counter++}`
    this.nodes(opType, inputs, [name], options)
    return name
  }

  /** Adds a node whose outputs are named by the caller; '' skips an optional one. */
  nodes(opType: string, inputs: readonly Value[], outputs: readonly Value[], options: NodeOptions = {}): void {
    const attributes = Object.entries(options.attributes ?? {}).map(([name, value]) => attribute(name, value))
    this.#nodes.push({
      input: [...inputs],
      output: [...outputs],
      name: `n${this.#nodes.length}`,
      op_type: opType,
      domain: options.domain ?? '',
      attribute: attributes,
    })
  }

  serialise(name: string): Uint8Array {
    return encodeModel({
      ir_version: IR_VERSION,
      producer_name: 'rubato',
      opset_import: [
        { domain: '', version: MAIN_OPSET },
        { domain: 'com.microsoft', version: 1 },
      ],
      graph: { name, node: this.#nodes, initializer: this.#initializers, input: this.#inputs, output: this.#outputs },
    })
  }
}
