// What HTTP headers and gRPC metadata say about a request; both front doors read the same names.
import { createHash, randomUUID, timingSafeEqual } from 'node:crypto'
import { RubatoError } from '@rubato/config'
import type { Slo } from '@rubato/instance'
import type { RouterPort } from '../client.ts'
import { FieldError } from './field-error.ts'

export const REQUEST_ID_HEADER = 'x-request-id'

/** One header's value, by lower-case name; undefined when absent. */
export type HeaderReader = (name: string) => string | undefined

const REQUEST_ID = /^[\x21-\x7e]{1,256}$/

/** The id if it is usable, a new one when it is empty. Throws FieldError naming `field`. */
export function requestIdOf(given: string | undefined, field: string): string {
  if (given === undefined || given === '') return randomUUID()
  if (!REQUEST_ID.test(given)) throw new FieldError(field, `Invalid '${field}': it must be 1 to 256 printable ASCII characters without spaces.`)
  return given
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
