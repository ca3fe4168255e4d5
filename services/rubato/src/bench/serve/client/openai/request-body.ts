// The body and headers of an OpenAI request, as `vllm bench serve` sends them.
import type { PlannedRequest, SloTargets } from '../../dataset/planned-request.ts'
import type { BenchServeOptions, SamplingOptions } from '../../options.ts'

function samplingFields(sampling: SamplingOptions): Record<string, unknown> {
  return {
    ...(sampling.temperature === null ? {} : { temperature: sampling.temperature }),
    ...(sampling.topP === null ? {} : { top_p: sampling.topP }),
    ...(sampling.topK === null ? {} : { top_k: sampling.topK }),
    ...(sampling.minP === null ? {} : { min_p: sampling.minP }),
    ...(sampling.ignoreEos ? { ignore_eos: true } : {}),
    ...(sampling.returnTokenIds ? { return_token_ids: true } : {}),
  }
}

/** JSON. Chat takes text prompts only. */
export function requestBody(options: BenchServeOptions, model: string, request: PlannedRequest): string {
  const { input, maxTokens } = request
  const isChat = options.target.backend === 'openai-chat'
  const prompt = input.kind === 'text' ? input.text : input.tokenIds
  const subject = isChat ? { messages: [{ role: 'user', content: prompt }], max_completion_tokens: maxTokens } : { prompt, max_tokens: maxTokens }
  const streaming = { stream: true, stream_options: { include_usage: true } }
  return JSON.stringify({ model, ...subject, ...samplingFields(options.sampling), ...streaming, ...options.sampling.extraBody })
}

/** Targets travel as headers, which servers that do not know them ignore. */
export function sloHeaders(targets: SloTargets | null): Record<string, string> {
  return {
    ...(targets === null || targets.ttftMs === null ? {} : { 'x-slo-ttft-ms': String(targets.ttftMs) }),
    ...(targets === null || targets.tpotMs === null ? {} : { 'x-slo-tpot-ms': String(targets.tpotMs) }),
  }
}
