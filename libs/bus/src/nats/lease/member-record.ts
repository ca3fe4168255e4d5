// A member as it stands in its lease: JSON, so that an operator can read it with `nats kv get`. Unknown fields are ignored.
import type { Member } from '../../membership.ts'

export function encodeMember({ kind, name, address, protocol, modelFingerprint, endpoint }: Member): string {
  return JSON.stringify({ kind, name, address, protocol, modelFingerprint, endpoint })
}

/** null: the record of something else, e.g. of a leader, or of a later version. */
export function decodeMember(text: string): Member | null {
  let record: unknown
  try {
    record = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof record !== 'object' || record === null) return null
  const { kind, name, address, protocol, modelFingerprint = null, endpoint } = record as Partial<Record<keyof Member, unknown>>
  if (kind !== 'router' && kind !== 'instance' && kind !== 'speculator') return null
  if (typeof name !== 'string' || typeof address !== 'string' || typeof protocol !== 'string') return null
  if (modelFingerprint !== null && typeof modelFingerprint !== 'string') return null
  if (endpoint !== undefined && typeof endpoint !== 'string') return null
  return { kind, name, address, protocol, modelFingerprint, ...(endpoint === undefined ? {} : { endpoint }) }
}
