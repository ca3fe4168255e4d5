// What a placement is planned for (DistServe, OSDI'24 §4), and when a trial of one passes.
import { InvalidArgument } from '@rubato/config'
import { jointAttainment, meetsDistServeTargets } from '@rubato/sim/reference'
import type { CapacitySearch, DistServeInstance, DistServeRecord, DistServeTargets, Parallelism, PlacementSpace, ReferenceRequest } from '@rubato/sim/reference'

export interface PlacementProblem {
  readonly space: PlacementSpace
  /** The instance of that parallelism; undefined where nothing was measured: such placements are left out. */
  readonly instance: (parallelism: Parallelism) => DistServeInstance | undefined
  /** The trace at that many requests per second, 1 request or more. */
  readonly workload: (ratePerSec: number) => readonly ReferenceRequest[]
  readonly targets: DistServeTargets
  /**
   * marginal: each target by itself, at its own quantile, as DistServe's code asks. joint: so many requests meet both, as
   * its paper says: stricter, and what is served counts by it.
   */
  readonly rule: 'marginal' | 'joint'
  /** Milliseconds per prompt token to move KV from prefill to decode; 0: it is free, as in DistServe's simulator. */
  readonly transferMsPerToken: number
  /** Of requests per second and GPU. */
  readonly search: CapacitySearch
  /** Requests per second to be served in all. */
  readonly ratePerSec: number
}

/** Throws InvalidArgument by the field that is wrong. */
export function checkPlacementProblem({ ratePerSec, transferMsPerToken, search: { maxRate, tolerance } }: PlacementProblem): void {
  if (!(ratePerSec > 0 && Number.isFinite(ratePerSec))) throw new InvalidArgument('rate', `${ratePerSec} must be above 0`)
  if (!(transferMsPerToken >= 0 && Number.isFinite(transferMsPerToken))) throw new InvalidArgument('transfer', `${transferMsPerToken} must be 0 or more`)
  if (!(tolerance > 0 && maxRate > tolerance)) throw new InvalidArgument('search', `tolerance ${tolerance} must be above 0 and below the highest rate ${maxRate}`)
}

/** The KV of a prompt moves between the first token and the second: the tokens behind the first share that time. */
function withTransfer(record: DistServeRecord, transferMsPerToken: number): DistServeRecord {
  const transferMs = record.promptTokens * transferMsPerToken
  return { ...record, tpotMs: record.tpotMs + transferMs / record.outputTokens, e2eMs: record.e2eMs + transferMs }
}

/** Whether the records of a trial keep the targets by the problem's rule. Transfers never wait for each other. */
export function passes(records: readonly DistServeRecord[], { rule, targets, transferMsPerToken }: Pick<PlacementProblem, 'rule' | 'targets' | 'transferMsPerToken'>): boolean {
  const moved = transferMsPerToken === 0 ? records : records.map((record) => withTransfer(record, transferMsPerToken))
  return rule === 'marginal' ? meetsDistServeTargets(moved, targets) : jointAttainment(moved, targets) >= targets.attainmentRatio
}
