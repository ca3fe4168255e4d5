// Names on the broker. Everything of a cluster is below `rubato.<cluster>.`, so that clusters can share a broker and
// permissions can be granted by prefix.
import type { Address } from '@rubato/actor'
import { InvalidArgument } from '@rubato/config'

const ADDRESS = /^[A-Za-z0-9_.@:=+~-]+(\/[A-Za-z0-9_.@:=+~-]+)*$/
const CLUSTER = /^[A-Za-z0-9_-]{1,64}$/
const NAME = /^[A-Za-z0-9_.-]{1,128}$/
const MAX_ADDRESS_LENGTH = 200

/** Throws InvalidArgument for a name that cannot be part of a subject or a bucket's name. */
export function checkCluster(cluster: string): string {
  if (!CLUSTER.test(cluster)) throw new InvalidArgument('--cluster', `--cluster ${JSON.stringify(cluster)}: use 1 to 64 letters, digits, - or _`)
  return cluster
}

/** Throws InvalidArgument for the name of a member or role that cannot be part of a lease's key. Host names can. */
export function checkName(field: string, name: string): string {
  if (!NAME.test(name)) throw new InvalidArgument(field, `${field} ${JSON.stringify(name)}: use 1 to 128 letters, digits, -, _ or dots`)
  return name
}

/** Throws InvalidArgument: a wildcard in an address would reach somebody else. */
export function subjectOf(cluster: string, address: Address): string {
  if (!ADDRESS.test(address) || address.length > MAX_ADDRESS_LENGTH) {
    throw new InvalidArgument('address', `address ${JSON.stringify(address)}: parts of letters, digits and _.@:=+~- joined by /, at most ${MAX_ADDRESS_LENGTH}`)
  }
  return `rubato.${cluster}.to.${address.replaceAll('.', '%2E').replaceAll('/', '.')}`
}

/** Bucket of one TTL class; the server has no TTL per key before 2.11. */
export function leaseBucketName(cluster: string, ttlMs: number): string {
  return `rubato-${cluster}-leases-${ttlMs}`
}

/** The broker publishes every change of a lease below this, after it was stored. */
export function leaseSubjectPrefix(cluster: string, ttlMs: number): string {
  return `rubato.${cluster}.lease.${ttlMs}.`
}
