// Everything a process can be told, fully resolved: flags over environment over rubato.yaml over defaults. One record per
// command, made of the same parts.

export type BatchingName = 'tempo' | 'sarathi' | 'prefill-first' | 'orca'
export type DispatchName = 'slo' | 'freeness' | 'jsq' | 'kv-aware' | 'round-robin'
export type MigrationName = 'llumnix' | 'off'
export type PlacementName = 'auto' | 'disaggregated' | 'colocated'
export type RoleName = 'prefill' | 'decode' | 'mixed'
/** Where drafts are made: by the instance itself, by speculators, or by who measures faster. */
export type DraftingName = 'auto' | 'local' | 'remote'
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'

export type EngineChoice = { readonly kind: 'onnx' } | { readonly kind: 'synthetic'; /** null: as the engine itself defaults. */ readonly stepMs: number | null }

/** What names a model in a cluster; equal on every process that serves it. */
export interface ModelSettings {
  /** Checkpoint directory, absolute. */
  readonly modelDir: string
  /** What clients and metrics call it. */
  readonly servedModelName: string
  readonly dtype: 'float32' | 'int8'
  readonly device: 'cpu'
  readonly engine: EngineChoice
  /** File path or inline Jinja; null: the checkpoint's. */
  readonly chatTemplate: string | null
  readonly blockSize: number
  readonly prefillCellTokens: number
  /** null: what the checkpoint allows. */
  readonly maxModelLen: number | null
  readonly cacheDir: string
}

export interface EngineSettings {
  readonly kvCacheBytes: number
  readonly intraOpThreads: number
  /** `auto`: cached or measured at start; `refresh`: measured; else a profile file. */
  readonly profile: string
  readonly profileBudgetMs: number
}

export interface SchedulingSettings {
  readonly maxNumSeqs: number
  readonly maxNumBatchedTokens: number
  readonly enablePrefixCaching: boolean
  readonly batching: BatchingName
  /** How long a request whose router is gone waits for another one. */
  readonly orphanTtlMs: number
  readonly speculation: SpeculationSettings
}

export interface SpeculationSettings {
  /** `auto`, `off`, `static:K`, `ngram`, `smartspec`, `adaserve`. */
  readonly policy: string
  /** Who proposes where the policy leaves it open. */
  readonly proposer: 'draft' | 'ngram' | 'suffix'
  /** Checkpoint directory of the draft model, absolute; null: there is none. */
  readonly draftDir: string | null
  readonly drafting: DraftingName
}

export interface RoutingSettings {
  /** `auto`: defaults from generation_config.json; `vllm`: neutral ones; else a directory that holds one. */
  readonly generationConfig: string
  /** Base of the seeds that are drawn for requests without one; null: random. */
  readonly seed: number | null
  readonly tokenizerThreads: number
  readonly dispatch: DispatchName
  readonly placement: PlacementName
  readonly migration: MigrationName
  readonly maxConcurrentRequests: number | null
  readonly queueSize: number
  readonly queueTimeoutMs: number
  readonly migrationLimit: number
}

/** PEM files. */
export interface TlsPaths {
  readonly certFile: string
  readonly keyFile: string
  readonly caFile: string | null
}

export interface DoorSettings {
  readonly host: string
  /** Others may reach the doors although nothing proves who they are. */
  readonly insecure: boolean
  /** 0: any free port. */
  readonly httpPort: number
  readonly grpcPort: number
  /** null: no admin listener. */
  readonly adminPort: number | null
  readonly apiKey: string | null
  /** null: plain text. */
  readonly tls: TlsPaths | null
}

export interface TracingSettings {
  /** OTLP over HTTP, protobuf. */
  readonly endpoint: string
  readonly headers: Readonly<Record<string, string>>
  /** null: as the process calls itself. */
  readonly serviceName: string | null
  readonly resourceAttributes: Readonly<Record<string, string>>
  /** Share of requests without a sampled parent that are traced. */
  readonly sampleRatio: number
}

export interface ProcessSettings {
  readonly shutdownTimeoutMs: number
  readonly logLevel: LogLevel
  /** null: no spans leave the process. */
  readonly tracing: TracingSettings | null
}

export type NatsLogin =
  | { readonly kind: 'none' }
  | { readonly kind: 'user'; readonly user: string; readonly password: string }
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'creds' | 'nkey'; readonly file: string }

export interface NatsSettings {
  /** URLs without credentials. */
  readonly servers: readonly string[]
  readonly cluster: string
  readonly login: NatsLogin
  /** null: as the URL's scheme says, with the system's certificates. */
  readonly tls: { readonly caFile: string | null; readonly certFile: string | null; readonly keyFile: string | null } | null
}

/** Where peers pull KV blocks from. */
export interface KvSettings {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** Host that peers use. */
  readonly advertiseAddress: string
  /** Port that peers use; null: the one that is listened on. */
  readonly advertisePort: number | null
  /** Mutual TLS among instances; null: plain text. */
  readonly tls: (TlsPaths & { readonly caFile: string }) | null
}

/** A process that is part of a cluster over NATS. */
export interface ClusterSettings {
  readonly instanceId: string
  readonly nats: NatsSettings
}

/** `rubato serve`: router and instances in one process. */
export interface ServeConfig extends ModelSettings, EngineSettings, SchedulingSettings, RoutingSettings, DoorSettings, ProcessSettings {
  readonly numPrefill: number
  readonly numDecode: number
  readonly numMixed: number
  readonly numSpeculators: number
  /** null: nothing leaves the process. */
  readonly link: (ClusterSettings & { readonly kv: KvSettings }) | null
}

export interface RouterProcessConfig extends ModelSettings, RoutingSettings, DoorSettings, ProcessSettings, ClusterSettings {
  /** Kernel class of the instances' CPUs; null: as on this machine. */
  readonly instanceCpu: string | null
}

export interface InstanceProcessConfig extends ModelSettings, EngineSettings, SchedulingSettings, ProcessSettings, ClusterSettings {
  readonly role: RoleName
  readonly kv: KvSettings
  /** null: no metrics listener. */
  readonly metricsPort: number | null
}

export interface SpeculatorProcessConfig extends ProcessSettings, ClusterSettings {
  /** Checkpoint directory of the model that it drafts for: its tokenizer, and the size of its vocabulary. */
  readonly modelDir: string
  /** `synthetic`: it drafts for instances with synthetic engines, without a draft model. */
  readonly engine: EngineChoice
  readonly draftDir: string
  /** Longest sequence it drafts for; null: what the draft model allows. */
  readonly maxModelLen: number | null
  readonly blockSize: number
  readonly kvCacheBytes: number
  readonly intraOpThreads: number
  /** Where instances connect to. */
  readonly listener: KvSettings
  /** null: no metrics listener. */
  readonly metricsPort: number | null
}

/** Metrics are open, as everywhere: they say nothing about requests. */
export interface MigratorProcessConfig extends ProcessSettings, ClusterSettings {
  readonly host: string
  /** null: no metrics listener. */
  readonly metricsPort: number | null
}
