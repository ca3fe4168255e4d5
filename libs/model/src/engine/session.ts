// One ONNX Runtime session over the decoder graph.
import { RubatoError } from '@rubato/config'
import { InferenceSession } from 'onnxruntime-node'
import type { Tensor } from 'onnxruntime-node'

export type Feeds = Record<string, Tensor>

export interface RunOutputs {
  /** [wanted, vocab]. */
  readonly logits: Float32Array
  /** [2 * layers * requests, kvHeads, 1, q, headDim]. */
  readonly newKv: Float32Array
}

export interface SessionOptions {
  /** Folder that the graph's external data is resolved in. */
  readonly weightsFolder: string
  readonly intraOpThreads: number
}

export class DecoderSession {
  readonly #session: InferenceSession

  private constructor(session: InferenceSession) {
    this.#session = session
  }

  /** Throws RubatoError `engine_load` with ONNX Runtime's reason when the model cannot be loaded. */
  static async open(model: Uint8Array, options: SessionOptions): Promise<DecoderSession> {
    const entries = { model_external_initializers_file_folder_path: options.weightsFolder, intra_op: { allow_spinning: '0' } }
    try {
      const session = await InferenceSession.create(model, {
        executionProviders: ['cpu'],
        intraOpNumThreads: options.intraOpThreads,
        interOpNumThreads: 1,
        enableMemPattern: false,
        graphOptimizationLevel: 'all',
        logSeverityLevel: 3,
        extra: { session: entries },
      })
      return new DecoderSession(session)
    } catch (cause) {
      throw new RubatoError('engine_load', `ONNX Runtime could not load the model: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    }
  }

  async run(feeds: Feeds): Promise<RunOutputs> {
    const outputs = await this.#session.run(feeds)
    return { logits: outputs['logits']!.data as Float32Array, newKv: outputs['new_kv']!.data as Float32Array }
  }

  async close(): Promise<void> {
    await this.#session.release()
  }
}
