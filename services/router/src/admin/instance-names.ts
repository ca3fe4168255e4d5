// Instances by what an operator calls them: a full id, or the name without the nonce.
import { InvalidArgument, RubatoError } from '@rubato/config'
import type { InstanceView } from '../actor/state/instances.ts'

const MAX_NAMES_LISTED = 20

/** `d1` of `d1@7f3a`. */
export function nameOf(instanceId: string): string {
  const at = instanceId.lastIndexOf('@')
  return at === -1 ? instanceId : instanceId.slice(0, at)
}

/**
 * The instance with this id, else the only one with this name. Throws InvalidArgument on empty text, RubatoError `not_found`
 * with the names there are, `failed_precondition` with the ids that share the name.
 */
export function findInstance(instances: readonly InstanceView[], given: string): InstanceView {
  if (given === '') throw new InvalidArgument('instance', 'Name an instance, by its id or its name.')
  const exact = instances.find(({ instanceId }) => instanceId === given)
  if (exact !== undefined) return exact
  const named = instances.filter(({ instanceId }) => nameOf(instanceId) === given)
  const [only] = named
  if (only === undefined) {
    const known = listed(new Set(instances.map(({ instanceId }) => nameOf(instanceId))))
    throw new RubatoError('not_found', `No instance ${JSON.stringify(given)}; known: ${known}.`, { field: 'instance' })
  }
  if (named.length === 1) return only
  const ids = listed(named.map(({ instanceId }) => instanceId))
  throw new RubatoError('failed_precondition', `${JSON.stringify(given)} is the name of several instances: ${ids}. Give the id.`, { field: 'instance' })
}

function listed(names: Iterable<string>): string {
  const sorted = [...names].toSorted()
  if (sorted.length === 0) return 'none'
  const more = sorted.length - MAX_NAMES_LISTED
  return sorted.slice(0, MAX_NAMES_LISTED).join(', ') + (more > 0 ? ` and ${more} more` : '')
}
