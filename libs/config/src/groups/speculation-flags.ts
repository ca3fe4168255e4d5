// How an instance drafts tokens ahead.
import { always, flag, unless } from '../flags/flag.ts'
import { choice, matching, orWord, text } from '../flags/value-schemas.ts'

export const SPECULATION_FLAGS = {
  speculation: flag({ group: 'Scheduling', help: 'auto|off|static:K|ngram|smartspec|adaserve: how many tokens are drafted ahead; never what is answered', placeholder: 'POLICY', schema: matching(/^(auto|off|static:\d{1,2}|ngram|smartspec|adaserve)$/, 'must be one of auto, off, static:K (K a number of tokens), ngram, smartspec, adaserve').nullable(), fallback: null, defaultText: 'off; auto where --draft or --speculative-config is given' }),
  draft: flag({ group: 'Model', help: "none, or the checkpoint directory of a small model with the same tokenizer that drafts tokens for --speculation", placeholder: 'none|DIR', schema: text().nullable(), fallback: null, defaultText: 'the bundled shakespeare-draft for the bundled model, else none', isPath: unless('none') }),
  'speculative-config': flag({ group: 'Scheduling', help: "speculation as vLLM's JSON says it: method (draft_model, ngram, suffix), model, num_speculative_tokens", placeholder: 'none|JSON', schema: orWord('none', text()), fallback: null, defaultText: 'none' }),
  drafting: flag({ group: 'Scheduling', help: 'auto|local|remote: drafts by this instance\'s own draft model, by speculators, or by whichever measures faster', placeholder: 'WHERE', schema: choice(['auto', 'local', 'remote']).nullable(), fallback: null, defaultText: 'auto' }),
} as const

/** The draft model is all that a speculator has. */
export const SPECULATOR_DRAFT_FLAGS = {
  draft: flag({ group: 'Model', help: 'checkpoint directory of the draft model; its tokenizer is that of --model', placeholder: 'DIR', schema: text().nullable(), fallback: null, defaultText: 'the bundled shakespeare-draft for the bundled model', isPath: always }),
} as const
