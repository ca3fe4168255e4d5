// The `google.rpc` error model on the wire: a google.rpc.Status in the `grpc-status-details-bin` trailer, holding
// BadRequest, RetryInfo and ErrorInfo. Declared here because no installed package ships those .proto files.
import protobuf from 'protobufjs'

export const STATUS_DETAILS_KEY = 'grpc-status-details-bin'
const TYPE_PREFIX = 'type.googleapis.com/'
const ERROR_DOMAIN = 'rubato'

const root = protobuf.Root.fromJSON({
  nested: {
    google: {
      nested: {
        protobuf: {
          nested: {
            Any: { fields: { typeUrl: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } } },
            Duration: { fields: { seconds: { type: 'int64', id: 1 }, nanos: { type: 'int32', id: 2 } } },
          },
        },
        rpc: {
          nested: {
            Status: {
              fields: { code: { type: 'int32', id: 1 }, message: { type: 'string', id: 2 }, details: { rule: 'repeated', type: 'google.protobuf.Any', id: 3 } },
            },
            FieldViolation: { fields: { field: { type: 'string', id: 1 }, description: { type: 'string', id: 2 } } },
            BadRequest: { fields: { fieldViolations: { rule: 'repeated', type: 'FieldViolation', id: 1 } } },
            RetryInfo: { fields: { retryDelay: { type: 'google.protobuf.Duration', id: 1 } } },
            ErrorInfo: { fields: { reason: { type: 'string', id: 1 }, domain: { type: 'string', id: 2 } } },
          },
        },
      },
    },
  },
})

const statusType = root.lookupType('google.rpc.Status')

/** What a failed call says beside its status code; absent parts are null. */
export interface ErrorDetails {
  readonly code: number
  readonly message: string
  /** Stable machine-readable reason (ErrorInfo). */
  readonly reason: string | null
  /** The request field at fault (BadRequest). */
  readonly field: string | null
  readonly retryAfterMs: number | null
}

function pack(name: string, value: Record<string, unknown>): Record<string, unknown> {
  const type = root.lookupType(name)
  return { typeUrl: TYPE_PREFIX + name, value: type.encode(type.fromObject(value)).finish() }
}

/** Encodes a google.rpc.Status for the `grpc-status-details-bin` trailer. */
export function encodeErrorDetails(details: ErrorDetails): Buffer {
  const { code, message, reason, field, retryAfterMs } = details
  const packed: Record<string, unknown>[] = []
  if (reason !== null) packed.push(pack('google.rpc.ErrorInfo', { reason, domain: ERROR_DOMAIN }))
  if (field !== null) packed.push(pack('google.rpc.BadRequest', { fieldViolations: [{ field, description: message }] }))
  if (retryAfterMs !== null) {
    const retryDelay = { seconds: Math.floor(retryAfterMs / 1000), nanos: Math.round((retryAfterMs % 1000) * 1e6) }
    packed.push(pack('google.rpc.RetryInfo', { retryDelay }))
  }
  return Buffer.from(statusType.encode(statusType.fromObject({ code, message, details: packed })).finish())
}

interface DecodedStatus {
  readonly code: number
  readonly message: string
  readonly details: readonly { readonly typeUrl: string; readonly value: Uint8Array }[]
}

interface DecodedDetail {
  readonly reason?: string
  readonly fieldViolations?: readonly { readonly field: string }[]
  readonly retryDelay?: { readonly seconds: number; readonly nanos: number }
}

const AS_OBJECT = { longs: Number, defaults: true } as const

/** Decodes the trailer again. Details of other types are ignored. Throws when the bytes are no google.rpc.Status. */
export function decodeErrorDetails(bytes: Uint8Array): ErrorDetails {
  const status = statusType.toObject(statusType.decode(bytes), { ...AS_OBJECT, arrays: true }) as DecodedStatus
  let [reason, field, retryAfterMs]: [string | null, string | null, number | null] = [null, null, null]
  for (const { typeUrl, value } of status.details) {
    const name = typeUrl.slice(TYPE_PREFIX.length)
    if (!['google.rpc.ErrorInfo', 'google.rpc.BadRequest', 'google.rpc.RetryInfo'].includes(name)) continue
    const type = root.lookupType(name)
    const detail = type.toObject(type.decode(value), AS_OBJECT) as DecodedDetail
    reason = detail.reason ?? reason
    field = detail.fieldViolations?.[0]?.field ?? field
    if (detail.retryDelay !== undefined && detail.retryDelay !== null) retryAfterMs = detail.retryDelay.seconds * 1000 + detail.retryDelay.nanos / 1e6
  }
  return { code: status.code, message: status.message, reason, field, retryAfterMs }
}
