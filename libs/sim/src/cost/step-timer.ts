// The seam of the cost models: true step times of a simulated accelerator.
import type { StepWork } from '@rubato/policy'

/** What steps truly take on a simulated accelerator. Policies do not see it: they predict with a StepCostModel fitted to its profile, as a live instance does at start-up. */
export interface StepTimer {
  /** Milliseconds of one step; 0 when it is empty. Pure: equal work takes equal time. */
  stepMs(work: StepWork): number
}
