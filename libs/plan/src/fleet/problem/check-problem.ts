// Whether a fleet problem makes sense. Whether it can be solved is another question: that is an outcome, not an error.
import { InvalidArgument } from '@rubato/config'
import type { FleetProblem } from './problem.ts'

function require(holds: boolean, field: string, message: string): void {
  if (!holds) throw new InvalidArgument(field, message)
}

const isAtLeastZero = (value: number): boolean => Number.isFinite(value) && value >= 0

/** Throws InvalidArgument by the path of the field that is wrong. */
export function checkFleetProblem({ ratePerSec, types, sliceFactor, headroomRatio }: FleetProblem): void {
  require(ratePerSec.length > 0 && ratePerSec.every(isAtLeastZero), 'rate', 'must be a number of requests per second for every bucket, 0 or more')
  require(types.length > 0, 'types', 'must hold one accelerator type or more')
  require(Number.isSafeInteger(sliceFactor) && sliceFactor >= 1, 'slice_factor', `${sliceFactor} must be a whole number, at least 1`)
  require(headroomRatio >= 0 && headroomRatio < 1, 'headroom', `${headroomRatio} must be a share from 0 to below 1`)
  types.forEach(({ name, usdPerHour, stock, maxRatePerSec }, index) => {
    require(types.findIndex((other) => other.name === name) === index, `types[${index}].name`, `${name} is also the name of an earlier type`)
    require(isAtLeastZero(usdPerHour), `types[${index}].usd_per_hour`, `${usdPerHour} must be a price, 0 or more`)
    require(stock === null || (Number.isSafeInteger(stock) && stock >= 0), `types[${index}].stock`, `${stock} must be a whole number, 0 or more`)
    require(maxRatePerSec.length === ratePerSec.length, `types[${index}].profile`, `covers ${maxRatePerSec.length} buckets of ${ratePerSec.length}`)
    require(maxRatePerSec.every(isAtLeastZero), `types[${index}].profile`, 'must hold requests per second, 0 or more')
  })
}
