// What one check of `rubato doctor` has to say.

export interface Finding {
  readonly name: string
  /** `failed`: serving does not work. `warning`: it works, but something is slower or missing. `absent`: an option this machine or version lacks. */
  readonly status: 'ok' | 'warning' | 'failed' | 'absent'
  /** What was found. */
  readonly detail: string
  /** What to do about it; null where there is nothing to do. */
  readonly fix: string | null
}

export function ok(name: string, detail: string): Finding {
  return { name, status: 'ok', detail, fix: null }
}

export function problem(status: 'warning' | 'failed', name: string, detail: string, fix: string): Finding {
  return { name, status, detail, fix }
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
