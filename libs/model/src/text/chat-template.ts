// Chat templates: where one comes from, and rendering it for one conversation.
import { Template } from '@huggingface/jinja'
import { CheckpointError, InvalidArgument } from '@rubato/config'
import path from 'node:path'
import { readOptional } from './tokenizer-files.ts'
import type { TokenizerConfigFile } from './tokenizer-files.ts'

/** One turn of a conversation, content already flattened to text. */
export interface TextMessage {
  readonly role: string
  readonly content: string
  readonly name?: string
}

export interface RenderOptions {
  /** End with the header of the assistant's turn. @default true */
  readonly addGenerationPrompt?: boolean
  /** Extra template variables, e.g. `enable_thinking`; they cannot replace the standard ones. */
  readonly variables?: Readonly<Record<string, unknown>>
}

/** The slice of the template library in use; its published types do not resolve under `nodenext`. */
interface JinjaTemplate {
  render(variables: Record<string, unknown>): string
}

const HOW_TO_SUPPLY = 'pass --chat-template FILE, or add chat_template.jinja (or chat_template in tokenizer_config.json) to the checkpoint'

/** vLLM's rule for --chat-template: an existing file is read; text that can only be a template is taken as one. */
function fromOption(option: string): string {
  const inline = /[{}\n]/.test(option)
  const text = inline ? undefined : readOptional(path.resolve(option))
  if (text === undefined && !inline) throw new InvalidArgument('chat-template', `--chat-template ${option}: no such file, and not an inline template`)
  return text ?? option
}

function fromConfig(config: TokenizerConfigFile): string | undefined {
  const declared = config.chat_template ?? undefined
  if (declared === undefined || typeof declared === 'string') return declared
  return (declared.find(({ name }) => name === 'default') ?? (declared.length === 1 ? declared[0] : undefined))?.template
}

/** The template's source by precedence: option, chat_template.jinja, tokenizer_config.json (of several named ones, "default"). */
export function findChatTemplate(dir: string, config: TokenizerConfigFile, option: string | undefined): string | undefined {
  if (option !== undefined) return fromOption(option)
  return readOptional(path.join(dir, 'chat_template.jinja')) ?? fromConfig(config)
}

/** Renders conversations with one compiled template; without one, every render is refused. */
export class ChatTemplate {
  readonly source: string | undefined
  readonly #template: JinjaTemplate | undefined
  readonly #specialTokens: Readonly<Record<string, string>>

  /** `dir` names the checkpoint in errors. Throws CheckpointError when the source does not parse. */
  constructor(dir: string, source: string | undefined, specialTokens: Readonly<Record<string, string>>) {
    this.source = source
    this.#specialTokens = specialTokens
    try {
      this.#template = source === undefined ? undefined : new Template(source)
    } catch (error) {
      throw new CheckpointError(dir, 'chat_template', `does not parse: ${(error as Error).message}`, { cause: error })
    }
  }

  /**
   * The prompt text of a conversation. Templates see `messages`, `add_generation_prompt`, the named special tokens, `raise_exception`
   * and `strftime_now`. Throws InvalidArgument on `messages` when there is no template or it refuses the conversation.
   */
  render(messages: readonly TextMessage[], options: RenderOptions = {}): string {
    if (this.#template === undefined) throw new InvalidArgument('messages', `this model has no chat template: ${HOW_TO_SUPPLY}`)
    for (const [index, { role, content, name }] of messages.entries()) {
      requireWellFormed(role, `messages[${index}].role`)
      requireWellFormed(content, `messages[${index}].content`)
      if (name !== undefined) requireWellFormed(name, `messages[${index}].name`)
    }
    const addGenerationPrompt = options.addGenerationPrompt ?? true
    try {
      return this.#template.render({ ...options.variables, ...this.#specialTokens, messages, add_generation_prompt: addGenerationPrompt })
    } catch (error) {
      throw new InvalidArgument('messages', `the chat template refused the conversation: ${(error as Error).message}`, { cause: error })
    }
  }
}

/** Throws InvalidArgument naming `field` when the text holds half of a surrogate pair: no UTF-8, hence no tokens, exist for it. */
export function requireWellFormed(text: string, field: string): void {
  if (!text.isWellFormed()) throw new InvalidArgument(field, 'holds a lone surrogate (half of a UTF-16 pair), which is not text; send valid Unicode')
}
