// How a scenario is refused: by the path of the field, with the value where it is short and the file where it stands.
import { InvalidArgument } from '@rubato/config'
import type { z } from 'zod'

type Issue = z.core.$ZodIssue

/** `fleet[0].count`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? String(part) : `${text}.${String(part)}`), '')
}

/** Whether a misspelt name is to be told before anything else: it is why another field seems to be missing. */
function isUnknownField(issue: Issue): issue is z.core.$ZodIssueUnrecognizedKeys {
  return issue.code === 'unrecognized_keys'
}

/** The first thing that is wrong. `issues` must not be empty; made with reportInput. */
export function refusalOf(issues: readonly Issue[], file: string): InvalidArgument {
  const issue = issues.find(isUnknownField) ?? issues[0]!
  if (isUnknownField(issue)) return new InvalidArgument(pathText([...issue.path, issue.keys[0] ?? '']), `(in ${file}) ${issue.message}`)
  const field = pathText(issue.path) || 'scenario'
  if (!('input' in issue) || issue.input === undefined) return new InvalidArgument(field, `(in ${file}) is missing: ${issue.message}`)
  const shown = typeof issue.input === 'object' ? '' : `${JSON.stringify(issue.input)} `
  return new InvalidArgument(field, `${shown}(in ${file}) ${issue.message}`)
}
