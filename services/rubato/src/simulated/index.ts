export { openScenario } from './open-scenario.ts'
export { parseSeeds } from './scenario/schema/scenario-schema.ts'
export { renderReport } from './report/render.ts'
export { runScenario } from './run/run-scenario.ts'

export type { ScenarioReport } from './report/scenario-report.ts'
export type { Scenario } from './scenario/scenario.ts'
