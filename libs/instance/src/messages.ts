// What routers and instances say to each other. Plain values: they cross the in-process bus as they are and the network
// in msgpack. Times on the wire are remaining milliseconds.
import type { Address, TraceContext } from '@rubato/actor'
import type { SamplingParams, TokenLogprobs } from '@rubato/model'
import type { StepCostModel } from '@rubato/policy'
import type { PeerMessage } from './peer-messages.ts'
import type { SpeculationLoad } from './speculation/counters.ts'
import type { SpeculatorPeer } from './speculation/remote/known-speculators.ts'

/** Fencing: compared lexicographically. Only the router raises `recovery`; only the current owner raises `hop`. */
export interface Epoch {
  readonly recovery: number
  readonly hop: number
}

export interface Slo {
  readonly ttftMs: number | null
  readonly tpotMs: number | null
}

/** What an instance is meant for first. Every instance can do everything: roles steer dispatch, they forbid nothing. */
export type InstanceRole = 'prefill' | 'decode' | 'mixed'

export interface PeerInstance {
  readonly instanceId: string
  readonly address: Address
}

export interface GenerateMessage {
  readonly kind: 'generate'
  readonly requestId: string
  readonly epoch: Epoch
  readonly promptIds: readonly number[]
  /** Per choice, tokens already emitted (recovery); all empty at first. Its length is n. */
  readonly emittedIds: readonly (readonly number[])[]
  /** Choices that had already finished before a recovery; they are not computed again. */
  readonly finishedSequences: readonly number[]
  readonly sampling: SamplingParams
  readonly slo: Slo
  /** Lower runs earlier. */
  readonly priority: number
  readonly cacheSalt: string
  readonly remainingMs: number | null
  /** Recovered requests bypass admission and go to the head of the queue. */
  readonly recovered: boolean
  /** It may be what killed its instances so far: it is held until its router says `begin`. @default false */
  readonly guarded?: boolean
  /** Who decodes it once this instance has computed the prompt; null: this instance itself. */
  readonly handOffTo: PeerInstance | null
  /** The span that this request's work here belongs under; null: not traced. */
  readonly trace: TraceContext | null
}

/** Answers `may-begin`: the request is held no longer, and should the instance die now, the router knows who had begun. Idempotent. */
export interface BeginMessage {
  readonly kind: 'begin'
  readonly requestId: string
  readonly epoch: Epoch
}

/** Frees everything that the request (or one choice of it) holds, whatever its hop. Idempotent. */
export interface AbortMessage {
  readonly kind: 'abort'
  readonly requestId: string
  readonly epoch: Epoch
  /** null: all choices. */
  readonly sequence: number | null
}

/** Cumulative acknowledgement, every 100 ms: tokens below nextIndex arrived. */
export interface AckMessage {
  readonly kind: 'ack'
  readonly acks: readonly { readonly requestId: string; readonly epoch: Epoch; readonly sequence: number; readonly nextIndex: number }[]
}

/** The router saw a gap, or nothing for long: send tokens from this index again. `refused` answers where nothing is known. */
export interface ResendMessage {
  readonly kind: 'resend'
  readonly requestId: string
  readonly epoch: Epoch
  readonly sequence: number
  readonly fromIndex: number
}

/** Asks for an immediate load report to the sender; also how a router announces itself. */
export interface HelloMessage {
  readonly kind: 'hello'
}

export interface DrainMessage {
  readonly kind: 'drain' | 'undrain'
}

export interface SetRoleMessage {
  readonly kind: 'set-role'
  readonly role: InstanceRole
}

/** Who knows this request? Asked of every instance by a router whose client came from another one. Answered with `located`, or not at all. */
export interface LocateMessage {
  readonly kind: 'locate'
  readonly requestId: string
}

/**
 * The sender takes the request over from its former router under a higher recovery; nothing is recomputed. The instance sends all
 * tokens from `fromIndices` (one per choice) again and goes on. Answered with `tokens`, or `refused` (superseded) when it is gone.
 */
export interface AttachMessage {
  readonly kind: 'attach'
  readonly requestId: string
  readonly epoch: Epoch
  readonly fromIndices: readonly number[]
}

/** From the instance's own process: the lease of this router or instance expired or was given back. */
export interface MemberGoneMessage {
  readonly kind: 'member-gone'
  readonly address: Address
}

/** From the instance's own process: a speculator took its lease. Its end is `member-gone`. */
export interface SpeculatorJoinedMessage extends SpeculatorPeer {
  readonly kind: 'speculator-joined'
}

/**
 * A live request is to go on at another instance. The instance chooses whom, unless told; with `forMs` it goes on moving one
 * after another until then. Impossible or unknown: nothing happens. Whoever asked sees the effect in load reports.
 */
export interface MigrateMessage {
  readonly kind: 'migrate'
  /** null: the instance chooses. */
  readonly requestId: string | null
  readonly to: PeerInstance
  /** How long the pairing holds; 0: one request. */
  readonly forMs: number
  /** Stages copied while it decodes, at most; 0: it stands still throughout, as baselines do. @default 3 */
  readonly maxStages?: number
}

export type InstanceMessage =
  | GenerateMessage | BeginMessage | AbortMessage | AckMessage | ResendMessage | HelloMessage | DrainMessage | SetRoleMessage | LocateMessage | AttachMessage
  | MemberGoneMessage | SpeculatorJoinedMessage | MigrateMessage | PeerMessage

export type FinishReason = 'stop' | 'length'

/** Times of one choice, measured on the instance; milliseconds. */
export interface SequenceTiming {
  readonly queueMs: number
  readonly prefillMs: number
  readonly cachedTokens: number
  readonly preemptions: number
  readonly acceptedDraftTokens: number
  readonly migrations: number
}

/** New tokens of one choice. */
export interface TokenRun {
  readonly requestId: string
  readonly epoch: Epoch
  readonly sequence: number
  readonly firstIndex: number
  readonly tokenIds: readonly number[]
  readonly logprobs: readonly TokenLogprobs[] | null
  /** On the first run of a choice from this instance: a choice that the router cuts at a stop string has no last one. */
  readonly start?: Pick<SequenceTiming, 'queueMs' | 'prefillMs' | 'cachedTokens'>
  /** On the last run of a choice. */
  readonly finish: { readonly reason: FinishReason; readonly stopTokenId: number | null; readonly timing: SequenceTiming } | null
}

/** All new tokens of one step for one router: one message, however many sequences. */
export interface TokensMessage {
  readonly kind: 'tokens'
  readonly instanceId: string
  readonly incarnation: number
  readonly runs: readonly TokenRun[]
}

/** The instance did not take the request; nothing is held for it. */
export interface RefusedMessage {
  readonly kind: 'refused'
  readonly instanceId: string
  readonly requestId: string
  readonly epoch: Epoch
  readonly reason: 'draining' | 'no_capacity' | 'too_long' | 'superseded'
  /** With `superseded`: the epoch that the instance holds; null when it knows nothing of the request. */
  readonly heldEpoch: Epoch | null
  readonly message: string
  readonly retryAfterMs: number | null
}

/** The instance could begin this guarded request now: answered with `begin`, or `abort`. It asks for one at a time, again and again. */
export interface MayBeginMessage {
  readonly kind: 'may-begin'
  readonly instanceId: string
  readonly incarnation: number
  readonly requestId: string
  readonly epoch: Epoch
}

/** Live requests that moved, since the instance's start. */
export interface MigrationCounts {
  /** On their way now, in and out. */
  readonly numActive: number
  readonly inTotal: number
  readonly outTotal: number
  /** Outgoing ones that stayed or were lost. */
  readonly abortedTotal: number
  /** From leaving the batch to the destination's word, summed over outTotal. */
  readonly downtimeMsTotal: number
}

/** Registration and periodic report (every 200 ms while busy, every second while idle, at once on `hello`). */
export interface LoadMessage {
  readonly kind: 'load'
  readonly instanceId: string
  /** Rises with every restart of the instance's engine; a higher one means that all its requests are lost. */
  readonly incarnation: number
  readonly address: Address
  readonly role: InstanceRole
  /** `host:port` where its KV blocks are pulled from; null: it cannot ship KV. */
  readonly kvAddress: string | null
  readonly modelFingerprint: string
  readonly maxModelLen: number
  readonly draining: boolean
  readonly numRunning: number
  readonly numWaiting: number
  readonly pendingPrefillTokens: number
  readonly freeBlocks: number
  readonly cachedBlocks: number
  readonly totalBlocks: number
  readonly preemptionsTotal: number
  readonly prefixQueryTokensTotal: number
  readonly prefixHitTokensTotal: number
  readonly lastStepMs: number
  /** Context of all running sequences together. */
  readonly contextTokens: number
  /** Llumnix §1.3: decode iterations left before memory runs out, in blocks per running request. */
  readonly freenessBlocks: number
  readonly blockSize: number
  /** KV of one block over all layers. */
  readonly blockBytes: number
  readonly cellTokens: number
  /** Corrected by what its steps really took; null: it has none. */
  readonly costModel: StepCostModel | null
  /** What its pulls of KV measured lately; null: none yet. */
  readonly pullBytesPerSec: number | null
  readonly migrations: MigrationCounts
  /** It holds guarded requests. Absent: it is of a former minor, and begins them as any other. */
  readonly guards?: true
  /** Absent: it never speculates. */
  readonly speculation?: SpeculationLoad
}

/** Answer to `locate`: the request as this instance holds it, finished or not. */
export interface LocatedMessage {
  readonly kind: 'located'
  readonly instanceId: string
  readonly incarnation: number
  /** As accepted here; `emittedIds` and `epoch` are current. */
  readonly request: GenerateMessage
  readonly epoch: Epoch
  /** Router that it answers to now. */
  readonly router: Address
}

/** The instance is gone: its engine died, or it left. Requests it held are lost with it. */
export interface GoneMessage {
  readonly kind: 'gone'
  readonly instanceId: string
  readonly incarnation: number
  readonly reason: string
  /** Requests that its last step worked on and that had brought no token from here, when that step was its death. */
  readonly begunIds?: readonly string[]
}

/** Instance to router. */
export type InstanceReport = TokensMessage | RefusedMessage | MayBeginMessage | LoadMessage | LocatedMessage | GoneMessage
