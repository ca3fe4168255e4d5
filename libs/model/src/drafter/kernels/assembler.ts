// Writes WebAssembly modules of straight float32 SIMD code without a toolchain: functions over one imported memory, whose
// parameters are 32-bit integers and floats, with loops that end on a condition. What a kernel needs and no more.

const TYPE = { i32: 0x7f, f32: 0x7d, v128: 0x7b } as const
type ValueType = keyof typeof TYPE

/** A parameter or local of the function being written. */
export type Local = number

const SECTION = { type: 1, import: 2, function: 3, export: 7, code: 10 } as const
const FUNCTION_TYPE = 0x60
const NO_RESULT = 0x40
const SIMD = 0xfd
/** Of a memory access: every address is a multiple of 4. */
const ALIGN_4 = 2

/** Opcodes behind the SIMD prefix. */
export const VECTOR = {
  splat: 0x13, nearest: 0x6a, shiftLeft: 0xab, addI32: 0xae, neg: 0xe1,
  add: 0xe4, sub: 0xe5, mul: 0xe6, div: 0xe7, min: 0xe8, max: 0xe9, toI32: 0xf8,
  /** a * b + c in one rounding where the machine has it. */
  madd: 0x105,
} as const

/** Scalar opcodes. */
export const SCALAR = { lessThan: 0x48, addI32: 0x6a, sqrt: 0x91, add: 0x92, mul: 0x94, div: 0x95, max: 0x97 } as const

function unsigned(value: number): number[] {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return [...bytes, rest]
    bytes.push((rest & 0x7f) | 0x80)
  }
}

function signed(value: number): number[] {
  const bytes: number[] = []
  for (let rest = value; ; rest >>= 7) {
    const isLast = (rest >> 6 === 0) || (rest >> 6 === -1)
    bytes.push((rest & 0x7f) | (isLast ? 0 : 0x80))
    if (isLast) return bytes
  }
}

function floatBytes(value: number): Uint8Array {
  return new Uint8Array(Float32Array.of(value).buffer)
}

function vector(items: readonly (readonly number[])[]): number[] {
  return [...unsigned(items.length), ...items.flat()]
}

function text(value: string): number[] {
  return [...unsigned(value.length), ...Buffer.from(value)]
}

/** Code of one function. Every method appends instructions and returns the writer, so that code reads in stack order. */
export class FunctionWriter {
  readonly params: readonly ValueType[]
  readonly #locals: ValueType[] = []
  readonly #code: number[] = []

  constructor(params: readonly ValueType[]) {
    this.params = params
  }

  local(type: ValueType): Local {
    return this.params.length + this.#locals.push(type) - 1
  }

  locals(type: ValueType, count: number): Local[] {
    return Array.from({ length: count }, () => this.local(type))
  }

  get(...locals: readonly Local[]): this {
    for (const local of locals) this.#code.push(0x20, ...unsigned(local))
    return this
  }

  set(local: Local): this {
    this.#code.push(0x21, ...unsigned(local))
    return this
  }

  int(value: number): this {
    this.#code.push(0x41, ...signed(value))
    return this
  }

  float(value: number): this {
    this.#code.push(0x43, ...floatBytes(value))
    return this
  }

  /** Four equal floats. */
  floats(value: number): this {
    const bytes = floatBytes(value)
    this.#code.push(SIMD, 0x0c, ...bytes, ...bytes, ...bytes, ...bytes)
    return this
  }

  /** Four equal integers. */
  ints(value: number): this {
    const bytes = new Uint8Array(Int32Array.of(value).buffer)
    this.#code.push(SIMD, 0x0c, ...bytes, ...bytes, ...bytes, ...bytes)
    return this
  }

  scalar(name: keyof typeof SCALAR): this {
    this.#code.push(SCALAR[name])
    return this
  }

  vector(name: keyof typeof VECTOR): this {
    this.#code.push(SIMD, ...unsigned(VECTOR[name]))
    return this
  }

  /** Lanes 0..3 of the lower and 4..7 of the upper vector on the stack, in the order given. */
  shuffle(lanes: readonly number[]): this {
    this.#code.push(SIMD, 0x0d, ...lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte)))
    return this
  }

  /** Four floats at `address + offsetBytes`. */
  load(address: Local, offsetBytes = 0): this {
    this.get(address).#code.push(SIMD, 0x00, ALIGN_4, ...unsigned(offsetBytes))
    return this
  }

  /** The float at `address + offsetBytes`, four times. */
  loadSplat(address: Local, offsetBytes = 0): this {
    this.get(address).#code.push(SIMD, 0x09, ALIGN_4, ...unsigned(offsetBytes))
    return this
  }

  /** Stores the four floats that `value` writes. */
  store(address: Local, offsetBytes: number, value: () => void): this {
    this.get(address)
    value()
    this.#code.push(SIMD, 0x0b, ALIGN_4, ...unsigned(offsetBytes))
    return this
  }

  /** local += bytes. */
  advance(local: Local, bytes: number): this {
    return this.get(local).int(bytes).scalar('addI32').set(local)
  }

  /** Runs `body` once and again for as long as `local`, less `step` after each time, is above zero. */
  countDown(local: Local, step: number, body: () => void): this {
    this.#code.push(0x03, NO_RESULT)
    body()
    this.advance(local, -step).int(0).get(local).scalar('lessThan')
    this.#code.push(0x0d, 0, 0x0b)
    return this
  }

  /** One lane of the vector on the stack, as a scalar. */
  lane(index: number): this {
    this.#code.push(SIMD, 0x1f, index)
    return this
  }

  body(): number[] {
    const locals = vector(this.#locals.map((type) => [1, TYPE[type]]))
    const code = [...locals, ...this.#code, 0x0b]
    return [...unsigned(code.length), ...code]
  }
}

/** A module that exports these functions and imports its memory as `env.memory`. */
export function assemble(functions: Readonly<Record<string, FunctionWriter>>): Uint8Array<ArrayBuffer> {
  const entries = Object.entries(functions)
  const types = entries.map(([, { params }]) => [FUNCTION_TYPE, ...vector(params.map((type) => [TYPE[type]])), 0])
  const section = (id: number, content: readonly number[]): number[] => [id, ...unsigned(content.length), ...content]
  return Uint8Array.from([
    0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(SECTION.type, vector(types)),
    ...section(SECTION.import, vector([[...text('env'), ...text('memory'), 2, 0, ...unsigned(1)]])),
    ...section(SECTION.function, vector(entries.map((_, index) => unsigned(index)))),
    ...section(SECTION.export, vector(entries.map(([name], index) => [...text(name), 0, ...unsigned(index)]))),
    ...section(SECTION.code, vector(entries.map(([, writer]) => writer.body()))),
  ])
}
