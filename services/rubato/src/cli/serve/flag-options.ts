// The table of flags as options of a commander command, and back.
import { InvalidArgument } from '@rubato/config'
import { SERVE_FLAGS, defaultText } from '@rubato/config/commands'
import type { Flag, FlagTable, FlagValue } from '@rubato/config/commands'
import { Option } from 'commander'
import type { Command } from 'commander'

/** Declares the flags of a table with their aliases and `no-` forms. Values stay text: the table checks them. */
export function addFlagOptions(command: Command, table: FlagTable): void {
  for (const [name, flag] of Object.entries(table)) {
    for (const option of optionsOf(name, flag)) command.addOption(flag.hidden === true ? option.hideHelp() : option)
  }
}

/** Some flags of `serve`, for a command that loads a model and serves nothing. */
export function serveFlags(...names: readonly (keyof typeof SERVE_FLAGS)[]): FlagTable {
  return Object.fromEntries(names.map((name) => [name, SERVE_FLAGS[name]]))
}

/** What was given on the command line, by flag name. Throws InvalidArgument when MODEL and --model differ. */
export function givenFlags(command: Command, model: string | undefined): Record<string, unknown> {
  const flags: Record<string, unknown> = {}
  for (const option of command.options) {
    if (!option.negate) flags[option.name()] = command.getOptionValue(option.attributeName())
  }
  if (model !== undefined && flags['model'] !== undefined && flags['model'] !== model) {
    throw new InvalidArgument('model', `MODEL ${JSON.stringify(model)} and --model ${JSON.stringify(flags['model'])} contradict each other; keep one`)
  }
  return model === undefined ? flags : { ...flags, model }
}

function optionsOf(name: string, flag: Flag<FlagValue>): Option[] {
  const { help, group, placeholder, aliases = [], fallback } = flag
  const standard = defaultText(flag)
  const described = standard === null ? help : `${help} (default: ${standard})`
  const value = placeholder === null ? '' : ` <${placeholder}>`
  const options = [new Option(`--${name}${value}`, placeholder === null ? help : described)]
  for (const alias of aliases) options.push(new Option(`--${alias}${value}`, `same as --${name}`))
  if (placeholder === null) options.push(new Option(`--no-${name}`, fallback === true ? 'the opposite' : '').hideHelp(fallback !== true))
  return options.map((option) => option.helpGroup(`${group}:`))
}
