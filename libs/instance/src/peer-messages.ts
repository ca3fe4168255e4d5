// What two instances say to each other while one hands a request over to the other. The source computes the prompt, or has
// been decoding (a live request: blocks are offered in stages while it goes on); the destination pulls the KV blocks it lacks as
// they become ready and goes on from there.
//
//   source                         destination
//     | -- reserve ------------------> |  takes blocks for the whole prompt, or lets the source wait
//     | <----------- reserved/declined |
//     | -- offer (blocks, token) ----> |  pulls them, checks them, has them installed between steps
//     | <------------------ not-pulled |  the source offers them again under a new token
//     | -- hand-off (state, hop + 1) > |  from here on only the destination may decode
//     | <----------------------- taken |  the source frees everything
//
// 1. The source repeats reserve and hand-off until they are answered; every message is idempotent.
// 2. Until `hand-off` is sent the source owns the request and may keep it (declined, a link that fails). After it only a
//    `declined` that names the raised epoch gives it back: the destination promises never to run it.
//    The source repeats reserve while it computes too, so that the destination knows that it is still wanted.
// 3. Either side frees what it holds when the other's lease is gone, or when the router aborts or supersedes the request.
import type { TokenLogprobs } from '@rubato/model'
import type { Address } from '@rubato/actor'
import type { Epoch, GenerateMessage, SequenceTiming, TokenRun } from './messages.ts'

export interface ReserveMessage {
  readonly kind: 'reserve'
  readonly sourceId: string
  /** Of a live request with the tokens so far. */
  readonly request: GenerateMessage
  /** It decodes at the source: it does not wait for room here, and every choice has blocks of its own behind the prompt. @default false */
  readonly isLive?: boolean
  readonly remainingMs: number | null
  /** Router that the request's tokens go to. */
  readonly router: Address
  /** `host:port` where the source's blocks are pulled from. */
  readonly kvAddress: string
  /** Blocks of another encoding or model are useless: the destination declines. */
  readonly modelFingerprint: string
}

/** Leading blocks of the prompt that the destination holds already need not be offered. */
export interface ReservedMessage {
  readonly kind: 'reserved'
  readonly requestId: string
  readonly epoch: Epoch
  readonly numHeldBlocks: number
}

export interface DeclinedMessage {
  readonly kind: 'declined'
  readonly requestId: string
  readonly epoch: Epoch
  /** `no_capacity`: no room for a live request, or both instances wait for room in the other. `busy`: it moves another one. */
  readonly reason: 'busy' | 'draining' | 'no_capacity' | 'too_long' | 'superseded' | 'other_model' | 'link_failed'
}

/** Blocks [firstBlock, firstBlock + numBlocks) of one choice's table are final and can be pulled once with this token. */
export interface OfferMessage {
  readonly kind: 'offer'
  readonly requestId: string
  readonly epoch: Epoch
  /** Choice whose table it is; blocks that hold nothing but prompt are offered for the first choice alone. */
  readonly sequence: number
  readonly firstBlock: number
  readonly numBlocks: number
  readonly token: string
}

/** The pull failed; the blocks are to be offered again. */
export interface NotPulledMessage {
  readonly kind: 'not-pulled'
  readonly requestId: string
  readonly epoch: Epoch
  readonly token: string
  readonly message: string
}

export interface HandedSequence {
  readonly index: number
  /** Every token emitted so far. */
  readonly tokenIds: readonly number[]
  /** Parallel to tokenIds where the request wants logprobs. */
  readonly logprobs: readonly TokenLogprobs[] | null
  /** Tokens below this are known to have reached the router. */
  readonly ackedIndex: number
  readonly timing: SequenceTiming
  /** Set when it ended with its first token: only its tokens move, for a router that did not get them. */
  readonly finish: TokenRun['finish']
}

export interface HandOffMessage {
  readonly kind: 'hand-off'
  readonly requestId: string
  /** The source's epoch with hop + 1. */
  readonly epoch: Epoch
  /** Tokens whose KV the offered blocks hold, per choice: everything but the last emitted token. */
  readonly sequences: readonly HandedSequence[]
}

export interface TakenMessage {
  readonly kind: 'taken'
  readonly requestId: string
  readonly epoch: Epoch
}

export type PeerMessage = ReserveMessage | ReservedMessage | DeclinedMessage | OfferMessage | NotPulledMessage | HandOffMessage | TakenMessage
