export { CheckpointError, InvalidArgument, RubatoError } from './errors.ts'
export type { RubatoErrorOptions } from './errors.ts'
