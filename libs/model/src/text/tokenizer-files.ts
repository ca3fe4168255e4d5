// Reads a checkpoint's tokenizer.json and tokenizer_config.json: checks their shape and refuses what would tokenise wrongly.
import { CheckpointError } from '@rubato/config'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'

const addedToken = z.looseObject({ content: z.string(), special: z.boolean().default(false) })
const step = z.looseObject({ type: z.string(), behavior: z.string().optional() }).nullish()
const tokenizerFile = z.looseObject({
  added_tokens: z.array(addedToken.extend({ id: z.int().nonnegative() })).nullish(),
  normalizer: step,
  pre_tokenizer: step,
  post_processor: step,
  decoder: step,
  model: z.looseObject({ type: z.string().default('BPE'), unk_token: z.string().nullish(), vocab: z.unknown() }),
})
const namedToken = z.union([z.string(), z.looseObject({ content: z.string() })]).nullish()
const configFile = z.looseObject({
  tokenizer_class: z.string().nullish(),
  add_bos_token: z.boolean().nullish(),
  add_eos_token: z.boolean().nullish(),
  bos_token: namedToken,
  eos_token: namedToken,
  unk_token: namedToken,
  sep_token: namedToken,
  pad_token: namedToken,
  cls_token: namedToken,
  mask_token: namedToken,
  additional_special_tokens: z.array(namedToken).nullish(),
  added_tokens_decoder: z.record(z.string(), addedToken).nullish(),
  chat_template: z.union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))]).nullish(),
})

export type TokenizerFile = z.infer<typeof tokenizerFile>
export type TokenizerConfigFile = z.infer<typeof configFile>

export interface TokenizerFiles {
  /** Absolute path of tokenizer.json, for messages. */
  readonly file: string
  readonly tokenizer: TokenizerFile
  readonly config: TokenizerConfigFile
  /** The bytes both were parsed from, for the digest. */
  readonly raw: readonly string[]
  /** Named special tokens that exist, e.g. `bos_token` -> `<s>`; what chat templates see. */
  readonly specialTokens: Readonly<Record<string, string>>
  readonly addedTokens: readonly { readonly id: number; readonly content: string; readonly special: boolean }[]
}

const SPECIAL_NAMES = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'] as const

/** The text of a file, or undefined when it does not exist. */
export function readOptional(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new CheckpointError(file, 'file', 'cannot be read', { cause: error })
  }
}

function parse<T>(file: string, text: string, schema: z.ZodType<T>): T {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new CheckpointError(file, 'json', `not valid JSON (${(error as Error).message})`, { cause: error })
  }
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw new CheckpointError(file, issue?.path.join('.') ?? 'json', issue?.message ?? 'has an unexpected shape')
}

/** Split behaviours that merge the separator into a neighbour are not implemented by the tokenizer library; wrong ids would follow. */
function refuseUnsupported(file: string, tokenizer: TokenizerFile): void {
  const { type } = tokenizer.model
  if (type !== 'BPE' && type !== 'Unigram') throw new CheckpointError(file, 'model.type', `${type} is not supported; BPE and Unigram are`)
  const nested = tokenizer.pre_tokenizer?.['pretokenizers']
  const steps = z.array(step).safeParse(Array.isArray(nested) ? nested : [tokenizer.pre_tokenizer])
  for (const each of steps.data ?? []) {
    const behavior = each?.behavior?.toLowerCase() ?? 'isolated'
    if (each?.type === 'Split' && behavior !== 'isolated' && behavior !== 'removed') {
      throw new CheckpointError(file, 'pre_tokenizer', `Split with behavior ${each.behavior} is not supported; Isolated and Removed are`)
    }
  }
}

function contentOf(token: z.infer<typeof namedToken>): string | undefined {
  return typeof token === 'string' ? token : token?.content
}

/** Tokens that only tokenizer_config.json declares are added; a token is special if either file or a named role says so. */
function mergeAddedTokens(tokenizer: TokenizerFile, config: TokenizerConfigFile, named: ReadonlySet<string>): TokenizerFile['added_tokens'] {
  const merged = [...(tokenizer.added_tokens ?? [])]
  const byId = new Map(merged.map((token, index) => [token.id, index]))
  for (const [key, token] of Object.entries(config.added_tokens_decoder ?? {})) {
    const index = byId.get(Number(key))
    const known = index === undefined ? undefined : merged[index]
    if (index === undefined || known === undefined) merged.push({ ...token, id: Number(key) })
    else if (token.special && known.content === token.content) merged[index] = { ...known, special: true }
  }
  return merged.map((token) => (named.has(token.content) ? { ...token, special: true } : token))
}

/** Reads both files of `dir`. Throws CheckpointError naming the file and field; tokenizer_config.json may be absent. */
export function readTokenizerFiles(dir: string): TokenizerFiles {
  const file = path.join(dir, 'tokenizer.json')
  const text = readOptional(file)
  if (text === undefined) throw new CheckpointError(file, 'file', 'missing; a checkpoint needs a Hugging Face fast tokenizer beside its weights')
  const tokenizer = parse(file, text, tokenizerFile)
  refuseUnsupported(file, tokenizer)
  const configPath = path.join(dir, 'tokenizer_config.json')
  const configText = readOptional(configPath) ?? '{}'
  const config = parse(configPath, configText, configFile)
  const specialTokens: Record<string, string> = {}
  for (const name of SPECIAL_NAMES) {
    const content = contentOf(config[name])
    if (content !== undefined) specialTokens[name] = content
  }
  const additional = (config.additional_special_tokens ?? []).map(contentOf)
  const named = new Set([...Object.values(specialTokens), ...additional.filter((content) => content !== undefined)])
  const addedTokens = mergeAddedTokens(tokenizer, config, named) ?? []
  return { file, tokenizer: { ...tokenizer, added_tokens: addedTokens }, config, raw: [text, configText], specialTokens, addedTokens }
}
