// A scenario file, with everything that it names found to be there.
import { CATALOG } from './run/trial/hardware.ts'
import { readScenario } from './scenario/read-scenario.ts'
import type { Scenario } from './scenario/scenario.ts'
import { readRows } from './workload/read-rows.ts'

/** Throws InvalidArgument whose field is the path of what is wrong in the file. */
export async function openScenario(file: string): Promise<Scenario> {
  const scenario = await readScenario(file, CATALOG)
  readRows(scenario.workload)
  return scenario
}
