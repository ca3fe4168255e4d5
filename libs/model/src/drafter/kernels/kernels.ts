// The kernels of the draft decoder, compiled for one model over one memory. Addresses are in bytes; see each kernel.
import type { ModelConfig } from '../../checkpoint/checkpoint.ts'
import { assemble } from './assembler.ts'
import type { FunctionWriter } from './assembler.ts'
import { attentionScores, attentionValues } from './attention-kernels.ts'
import { panelProduct } from './matmul-kernel.ts'
import { gatedUnit, rmsNorm, softmax } from './row-kernels.ts'
import { webAssembly } from './web-assembly.ts'
import type { WasmMemory } from './web-assembly.ts'

type Product = (...call: readonly [x: number, panel: number, start: number, out: number, inner: number, xStride: number, startStride: number, outStride: number]) => void
type Scores = (query: number, keys: number, scores: number, numTokens: number, scoresStride: number) => void
type Values = (probabilities: number, values: number, out: number, numTokens: number, scoresStride: number) => void

export interface Kernels {
  readonly oneRow: Product
  readonly twoRows: Product
  readonly scoresOfOne: Scores
  readonly scoresOfTwo: Scores
  readonly valuesOfOne: Values
  readonly valuesOfTwo: Values
  readonly rmsNorm: (x: number, weight: number, out: number, length: number, inverseWidth: number) => void
  readonly softmax: (scores: number, length: number) => void
  readonly gatedUnit: (gate: number, up: number, out: number, length: number) => void
}

/** `headDim` is a multiple of 4. */
export function compileKernels({ headDim, rmsNormEps }: Pick<ModelConfig, 'headDim' | 'rmsNormEps'>, memory: WasmMemory): Kernels {
  const functions: Readonly<Record<keyof Kernels, FunctionWriter>> = {
    oneRow: panelProduct(1),
    twoRows: panelProduct(2),
    scoresOfOne: attentionScores(headDim, 1),
    scoresOfTwo: attentionScores(headDim, 2),
    valuesOfOne: attentionValues(headDim, 1),
    valuesOfTwo: attentionValues(headDim, 2),
    rmsNorm: rmsNorm(rmsNormEps),
    softmax: softmax(),
    gatedUnit: gatedUnit(),
  }
  const { exports } = new webAssembly.Instance(new webAssembly.Module(assemble(functions)), { env: { memory } })
  return exports as Kernels
}
