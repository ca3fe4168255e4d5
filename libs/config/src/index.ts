export { CheckpointError, InvalidArgument, RubatoError } from './errors.ts'
export { nearestName } from './flags/nearest.ts'
export type { RubatoErrorOptions } from './errors.ts'
export type {
  BatchingName, ClusterSettings, DispatchName, DoorSettings, DraftingName, EngineChoice, EngineSettings, InstanceProcessConfig, KvSettings, LogLevel, MigrationName, MigratorProcessConfig, ModelSettings, NatsLogin,
  NatsSettings, PlacementName, ProcessSettings, RoleName, RouterProcessConfig, RoutingSettings, SchedulingSettings, ServeConfig, SpeculationSettings, SpeculatorProcessConfig, TlsPaths,
  TracingSettings,
} from './settings/settings.ts'
