/** Structured logger of a process; a pino instance fits as it is. */
export interface ProcessLog {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
