// Everything `rubato serve` can be told, fully resolved: flags over environment over rubato.yaml over defaults.

export type BatchingName = 'sarathi' | 'prefill-first' | 'orca'
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'

export interface ServeConfig {
  /** Checkpoint directory, absolute. */
  readonly modelDir: string
  readonly servedModelName: string
  readonly dtype: 'float32' | 'int8'
  readonly device: 'cpu'
  readonly host: string
  /** 0: any free port. */
  readonly httpPort: number
  readonly grpcPort: number
  readonly apiKey: string | null
  /** PEM files; null: plain text. */
  readonly tls: { readonly certFile: string; readonly keyFile: string; readonly caFile: string | null } | null
  /** Mixed instances in the embedded cluster, >= 1. */
  readonly numMixed: number
  readonly maxNumSeqs: number
  readonly maxNumBatchedTokens: number
  /** null: what the checkpoint allows. */
  readonly maxModelLen: number | null
  readonly blockSize: number
  readonly prefillCellTokens: number
  readonly enablePrefixCaching: boolean
  readonly kvCacheBytes: number
  readonly intraOpThreads: number
  readonly batching: BatchingName
  /** File path or inline Jinja; null: the checkpoint's. */
  readonly chatTemplate: string | null
  /** `auto`: defaults from generation_config.json; `vllm`: neutral ones; else a directory that holds one. */
  readonly generationConfig: string
  /** Base of the seeds that are drawn for requests without one; null: random. */
  readonly seed: number | null
  readonly maxConcurrentRequests: number | null
  readonly queueSize: number
  readonly queueTimeoutMs: number
  readonly migrationLimit: number
  readonly shutdownTimeoutMs: number
  /** `auto`: cached or measured at start; `refresh`: measured; else a profile file. */
  readonly profile: string
  readonly profileBudgetMs: number
  readonly cacheDir: string
  readonly tokenizerThreads: number
  readonly logLevel: LogLevel
}
