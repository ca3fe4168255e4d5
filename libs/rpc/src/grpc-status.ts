// Failures as canonical gRPC statuses. The only place that knows which error code is which status.
import { Metadata, status } from '@grpc/grpc-js'
import { RubatoError } from '@rubato/config'
import { STATUS_DETAILS_KEY, decodeErrorDetails, encodeErrorDetails } from './error-details.ts'
import type { ErrorDetails } from './error-details.ts'

/** A failure as a caller is told of it. Structurally what the router's ClientError is. */
export interface RpcFailure {
  readonly code: string
  readonly message: string
  readonly field: string | null
  readonly retryAfterMs: number | null
  readonly reason: string
}

/** What grpc-js takes to end a call. */
export interface StatusEnd {
  readonly code: status
  readonly details: string
  readonly metadata: Metadata
}

/** Trailers travel as headers: a long message would not fit. */
const MAX_MESSAGE_CHARS = 1024

const STATUS_OF_CODE: ReadonlyMap<string, status> = new Map([
  ['invalid_argument', status.INVALID_ARGUMENT],
  ['not_found', status.NOT_FOUND],
  ['already_exists', status.ALREADY_EXISTS],
  ['failed_precondition', status.FAILED_PRECONDITION],
  ['unimplemented', status.UNIMPLEMENTED],
  ['resource_exhausted', status.RESOURCE_EXHAUSTED],
  ['deadline_exceeded', status.DEADLINE_EXCEEDED],
  ['cancelled', status.CANCELLED],
  ['unavailable', status.UNAVAILABLE],
  ['unauthenticated', status.UNAUTHENTICATED],
  ['internal', status.INTERNAL],
])

/** Any thrown value as a failure. What is no RubatoError with a public code becomes `internal` without its text. */
export function failureOf(error: unknown): RpcFailure {
  if (!(error instanceof RubatoError) || !STATUS_OF_CODE.has(error.code)) {
    return { code: 'internal', message: 'internal error', field: null, retryAfterMs: null, reason: 'internal' }
  }
  return { code: error.code, message: error.message, field: error.field ?? null, retryAfterMs: error.retryAfterMs ?? null, reason: error.code }
}

/** The status that ends a call with this failure; google.rpc details travel in its trailers. */
export function statusOf(failure: RpcFailure): StatusEnd {
  const code = STATUS_OF_CODE.get(failure.code) ?? status.INTERNAL
  // grpc-js percent-encodes the text and throws on lone surrogates, which may come from the client's own strings.
  const message = failure.message.slice(0, MAX_MESSAGE_CHARS).toWellFormed()
  const metadata = new Metadata()
  const { reason, retryAfterMs } = failure
  const field = failure.field?.slice(0, MAX_MESSAGE_CHARS).toWellFormed() ?? null
  metadata.set(STATUS_DETAILS_KEY, encodeErrorDetails({ code, message, reason, field, retryAfterMs }))
  return { code, details: message, metadata }
}

/** The google.rpc details of a failed call's trailers; null when it carries none. */
export function errorDetailsOf(metadata: Metadata): ErrorDetails | null {
  const [bytes] = metadata.get(STATUS_DETAILS_KEY)
  return bytes === undefined || typeof bytes === 'string' ? null : decodeErrorDetails(bytes)
}
