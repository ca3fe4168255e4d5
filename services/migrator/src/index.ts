export { followCluster, runMigrator } from './main.ts'
export { MigratorActor } from './migrator-actor.ts'
export { hostMigrator } from './migrator-host.ts'

export type { MigratorProcessParts } from './main.ts'
export type { MigratorHost, MigratorHostOptions } from './migrator-host.ts'
export type { AdviseEffect, MembershipMessage, MigratorConfig, MigratorEffect, MigratorMessage, MigratorSnapshot } from './migrator-actor.ts'
