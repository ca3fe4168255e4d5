// What HTTP headers and gRPC metadata say about a request; both front doors read the same names.
import { createHash, randomUUID, timingSafeEqual } from 'node:crypto'
import { RubatoError } from '@rubato/config'
import type { Slo } from '@rubato/instance'
import { parseTraceparent } from '@rubato/telemetry'
import type { ClientRequest, RouterPort } from '../client.ts'
import { FieldError } from './field-error.ts'

export const REQUEST_ID_HEADER = 'x-request-id'
export const LAST_EVENT_ID_HEADER = 'last-event-id'

/** One header's value, by lower-case name; undefined when absent. */
export type HeaderReader = (name: string) => string | undefined

const REQUEST_ID = /^[\x21-\x7e]{1,256}$/

/** The id if it is usable, a new one when it is empty. Throws FieldError naming `field`. */
export function requestIdOf(given: string | undefined, field: string): string {
  if (given === undefined || given === '') return randomUUID()
  if (!REQUEST_ID.test(given)) throw new FieldError(field, `Invalid '${field}': it must be 1 to 256 printable ASCII characters without spaces.`)
  return given
}

/** The client's span, null without a valid traceparent. */
export function traceOf(read: HeaderReader): ClientRequest['trace'] {
  return parseTraceparent(read('traceparent'))
}

const TOKEN_COUNTS = /^\d{1,10}(,\d{1,10})*$/

/**
 * Tokens that the client of a broken event stream has, one count per choice, as the stream's event ids say; null: a new request.
 * Throws FieldError when the header is malformed, or is not of this request.
 */
export function resumeFromOf(read: HeaderReader, stream: { readonly isStream: boolean; readonly hasRequestId: boolean; readonly numChoices: number }): readonly number[] | null {
  const given = read(LAST_EVENT_ID_HEADER)
  if (given === undefined) return null
  const refused = (why: string): FieldError => new FieldError(LAST_EVENT_ID_HEADER, `Invalid '${LAST_EVENT_ID_HEADER}': ${why}.`)
  if (!TOKEN_COUNTS.test(given)) throw refused('it must be the id of an event of the stream to resume: numbers of tokens, one per choice, with commas between them')
  const counts = given.split(',').map(Number)
  if (counts.length !== stream.numChoices) throw refused(`it has ${counts.length} counts, but the request has ${stream.numChoices} choices`)
  if (!stream.isStream) throw refused("only streams can be resumed; send 'stream' true")
  if (!stream.hasRequestId) throw new FieldError(REQUEST_ID_HEADER, `Missing '${REQUEST_ID_HEADER}': '${LAST_EVENT_ID_HEADER}' resumes the request of that id.`, 'missing_required_parameter')
  return counts
}

function millis(read: HeaderReader, names: readonly string[]): number | null {
  for (const name of names) {
    const given = read(name)
    if (given === undefined) continue
    const value = Number(given)
    if (given.trim() === '' || !Number.isFinite(value) || value <= 0) throw new FieldError(name, `Invalid '${name}': it must be a number of milliseconds above 0.`)
    return value
  }
  return null
}

/** Targets from x-slo-* (or llm-d's names) where the body sets none. */
export function sloOf(body: { readonly ttft_ms?: number | null | undefined; readonly tpot_ms?: number | null | undefined } | undefined, read: HeaderReader): Slo {
  const ttftMs = millis(read, ['x-slo-ttft-ms', 'x-llm-d-slo-ttft-ms'])
  const tpotMs = millis(read, ['x-slo-tpot-ms', 'x-llm-d-slo-tpot-ms'])
  return { ttftMs: body?.ttft_ms ?? ttftMs, tpotMs: body?.tpot_ms ?? tpotMs }
}

/** The model named, or the only one served when none is named. */
export function modelOf(router: RouterPort, given: string | undefined): string {
  if (given !== undefined && given !== '') return given
  const models = router.models()
  const [only] = models
  if (models.length === 1 && only !== undefined) return only.id
  throw new FieldError('model', `Missing required parameter: 'model' (served: ${models.map((model) => model.id).join(', ') || 'none'}).`, 'missing_required_parameter')
}

const digest = (value: string): Buffer => createHash('sha256').update(value).digest()

/** A check of the `authorization` header. It throws RubatoError `unauthenticated`; without a key it lets all pass. */
export function bearerCheck(apiKey: string | null | undefined): (authorization: string | undefined) => void {
  if (apiKey === null || apiKey === undefined || apiKey === '') return () => {}
  const expected = digest(apiKey)
  return (authorization) => {
    const token = /^bearer +(.+)$/i.exec(authorization ?? '')?.[1]
    if (token === undefined) throw new RubatoError('unauthenticated', 'No API key given. Send it as "authorization: Bearer KEY".')
    if (!timingSafeEqual(digest(token), expected)) throw new RubatoError('unauthenticated', 'Incorrect API key given.')
  }
}
