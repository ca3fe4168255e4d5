export { CheckpointError, InvalidArgument, RubatoError } from './errors.ts'
export type { RubatoErrorOptions } from './errors.ts'
export type { BatchingName, LogLevel, ServeConfig } from './serve-config.ts'
