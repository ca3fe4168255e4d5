// The thread of a TextPool: loads the text model on its first job and answers one job at a time.
import { RubatoError } from '@rubato/config'
import { readlinkSync } from 'node:fs'
import os from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import type { RenderOptions, TextMessage } from './chat-template.ts'
import { loadTextModel } from './text-model.ts'
import type { TextModel, TextModelSource } from './text-model.ts'

export interface TextWorkerData {
  readonly source: TextModelSource
  /** Digest of the pool's own model: a worker must not tokenise by other files. */
  readonly digest: string
}

export type TextJob =
  | { readonly kind: 'encode'; readonly text: string; readonly addSpecialTokens: boolean; readonly field: string }
  | { readonly kind: 'chat'; readonly messages: readonly TextMessage[]; readonly options: RenderOptions }
  | { readonly kind: 'decode'; readonly tokenIds: Uint32Array; readonly skipSpecialTokens: boolean }

export type TextAnswer =
  | { readonly kind: 'tokens'; readonly tokenIds: Uint32Array }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'failed'; readonly code: string; readonly field: string | undefined; readonly message: string }

function load({ source, digest }: TextWorkerData): TextModel {
  const model = loadTextModel(source.dir, source.options)
  if (model.digest !== digest) throw new RubatoError('checkpoint', `${source.dir}: tokenizer or chat template changed on disk since start; restart the process`)
  return model
}

/** Serving goes before tokenising: a thread of long texts must not take the engine's turn on a core. Linux only, where threads have priorities of their own. */
function yieldToServing(): void {
  try {
    os.setPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)), os.constants.priority.PRIORITY_BELOW_NORMAL)
  } catch {
    // Elsewhere the thread keeps its process's priority: slower token gaps under long texts, nothing else.
  }
}

function run(model: TextModel, job: TextJob): TextAnswer {
  switch (job.kind) {
    case 'encode':
      return { kind: 'tokens', tokenIds: Uint32Array.from(model.encode(job.text, job.addSpecialTokens, job.field)) }
    case 'chat':
      return { kind: 'tokens', tokenIds: Uint32Array.from(model.encode(model.renderChat(job.messages, job.options), false, 'messages')) }
    case 'decode':
      return { kind: 'text', text: model.decode(job.tokenIds, { skipSpecialTokens: job.skipSpecialTokens }) }
  }
}

function failure(error: unknown): TextAnswer {
  const known = error instanceof RubatoError ? error : undefined
  return { kind: 'failed', code: known?.code ?? 'internal', field: known?.field, message: error instanceof Error ? error.message : String(error) }
}

yieldToServing()
let model: TextModel | undefined
parentPort?.on('message', (job: TextJob) => {
  let answer: TextAnswer
  try {
    model ??= load(workerData as TextWorkerData)
    answer = run(model, job)
  } catch (error) {
    answer = failure(error)
  }
  parentPort?.postMessage(answer, answer.kind === 'tokens' ? [answer.tokenIds.buffer as ArrayBuffer] : [])
})
