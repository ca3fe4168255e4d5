// What every command is given of the process: no command reads the environment by itself.

export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Folder of the project: holds `models/`. */
  readonly repoRoot: string
  /** Writes to standard output. */
  readonly print: (text: string) => void
}
