// Which client speaks a backend's protocol.
import type { Clock } from '../load/clock.ts'
import type { BenchServeOptions } from '../options.ts'
import type { GenerateClient } from './generate-client.ts'
import { GrpcClient } from './grpc-client.ts'
import { OpenAiClient } from './openai/openai-client.ts'

export function openClient(options: BenchServeOptions, clock: Clock): GenerateClient {
  switch (options.target.backend) {
    case 'openai':
    case 'openai-chat':
      return new OpenAiClient(options, clock)
    case 'rubato-grpc':
      return new GrpcClient(options, clock)
  }
}
