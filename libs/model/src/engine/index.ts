export { cpuKernelClass, cpuModel } from './kernel-class.ts'
export { OnnxEngine } from './onnx-engine.ts'

export type { ComputeDtype, EngineLoad, EngineOptions, EngineProgress } from './options.ts'
