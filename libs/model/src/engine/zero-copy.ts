// Start-up self-test: inputs on shared memory must be read in place. If the binding ever copied them, every step would
// copy the KV arena, and nothing else would say so.
import { RubatoError } from '@rubato/config'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { GraphWriter } from '../graph/graph-writer.ts'

const TEST_BYTES = 256 * 1024 * 1024
const MAX_MS = 5
const ATTEMPTS = 5

/** Throws RubatoError `engine_self_test` when a 256 MiB input takes longer than reading in place can. */
export async function assertZeroCopyInputs(): Promise<void> {
  const graph = new GraphWriter()
  graph.input('data', 'float32', ['length'])
  graph.node('Gather', ['data', graph.constant('last', 'int64', [1], BigInt64Array.of(BigInt(TEST_BYTES / 4 - 1)))], { attributes: { axis: 0 } }, 'value')
  graph.output('value', 'float32', [1])
  const session = await InferenceSession.create(graph.serialise('zero-copy'), { intraOpNumThreads: 1, logSeverityLevel: 3 })
  const data = new Float32Array(new SharedArrayBuffer(TEST_BYTES))
  const tensor = new Tensor('float32', data, [data.length])
  let bestMs = Number.MAX_VALUE
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    data[data.length - 1] = attempt + 1
    const startMs = performance.now()
    const { value } = await session.run({ data: tensor })
    bestMs = Math.min(bestMs, performance.now() - startMs)
    if (value?.data[0] !== attempt + 1) throw new RubatoError('engine_self_test', 'ONNX Runtime did not see a write to shared memory')
  }
  await session.release()
  if (bestMs > MAX_MS) throw new RubatoError('engine_self_test', `ONNX Runtime copies its inputs (256 MiB took ${bestMs.toFixed(1)} ms): this onnxruntime-node build cannot serve`)
}
