// The one error base of the project. A subclass exists for each failure that a caller can act on.

export interface RubatoErrorOptions {
  /** The request or configuration field at fault, in the caller's own spelling. */
  readonly field?: string
  readonly retryable?: boolean
  readonly retryAfterMs?: number
  readonly cause?: unknown
}

/** A failure with a stable `code`; `message` says what went wrong and what to do about it. */
export class RubatoError extends Error {
  readonly code: string
  readonly retryable: boolean
  readonly field: string | undefined
  readonly retryAfterMs: number | undefined

  constructor(code: string, message: string, options: RubatoErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.retryable = options.retryable ?? false
    this.field = options.field
    this.retryAfterMs = options.retryAfterMs
  }
}

/** Thrown when a caller's input breaks a rule; names the field. Maps to INVALID_ARGUMENT / 400. */
export class InvalidArgument extends RubatoError {
  constructor(field: string, message: string, options: RubatoErrorOptions = {}) {
    super('invalid_argument', message, { ...options, field })
  }
}

/** Thrown when a checkpoint cannot be served; names the file and the field. Nothing was loaded. */
export class CheckpointError extends RubatoError {
  readonly file: string
  constructor(file: string, field: string, message: string, options: RubatoErrorOptions = {}) {
    super('checkpoint', `${file}: ${field}: ${message}`, { ...options, field })
    this.file = file
  }
}
