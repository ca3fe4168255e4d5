// The version that bus messages and leases carry. Majors refuse each other; a minor may add fields, which others ignore.

export const PROTOCOL_MAJOR = 1
export const PROTOCOL_MINOR = 0
/** As a `Member` states it. */
export const PROTOCOL_VERSION = `${PROTOCOL_MAJOR}.${PROTOCOL_MINOR}`

/** True when the two, each `major.minor`, understand each other. */
export function speaksSameProtocol(version: string, other: string = PROTOCOL_VERSION): boolean {
  return version.split('.')[0] === other.split('.')[0]
}
