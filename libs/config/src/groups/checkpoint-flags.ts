// What the model is. Every process of a cluster that serves it has to be told the same: all but its name, longest length
// and the cache are part of the model fingerprint, and only equal fingerprints work together.
import { always, flag } from '../flags/flag.ts'
import { choice, matching, multipleOf, orWord, text, wholeNumber } from '../flags/value-schemas.ts'

/** The rule for --chat-template: text that can only be a template is one. */
const notInlineTemplate = (value: string): boolean => !/[{}\n]/.test(value)

export const CHECKPOINT_FLAGS = {
  model: flag({ group: 'Model', help: 'checkpoint directory (Hugging Face layout); same as the MODEL argument', placeholder: 'DIR', schema: text().nullable(), fallback: null, defaultText: 'the bundled shakespeare-target', isPath: always }),
  'served-model-name': flag({ group: 'Model', help: 'name that clients ask for', placeholder: 'NAME', schema: text().nullable(), fallback: null, defaultText: "the directory's name" }),
  dtype: flag({ group: 'Model', help: 'auto|float32: number format of computation and KV', placeholder: 'TYPE', schema: choice(['auto', 'float32'], /^(b?float16|half|float)$/), fallback: 'auto', defaultText: 'auto = float32' }),
  quantization: flag({ group: 'Model', help: 'none|int8: weights quantised at load, kept in the cache directory', placeholder: 'METHOD', schema: choice(['none', 'int8']), fallback: 'none' }),
  device: flag({ group: 'Model', help: 'cpu (cuda and webgpu are not built yet)', placeholder: 'DEVICE', schema: choice(['cpu'], /^(cuda|webgpu)(:\d+)?$/), fallback: 'cpu' }),
  'chat-template': flag({ group: 'Model', help: 'file, or inline Jinja, in place of the checkpoint\'s template', placeholder: 'FILE', schema: text().nullable(), fallback: null, isPath: notInlineTemplate }),
  engine: flag({ group: 'Memory and threads', help: 'onnx, or synthetic[:STEP_MS]: made-up tokens at a fixed speed, for benchmarks of everything else', placeholder: 'ENGINE', schema: matching(/^(onnx|synthetic(:\d+(\.\d+)?)?)$/, 'must be onnx, synthetic or synthetic:STEP_MS'), fallback: 'onnx', hidden: true }),
  'block-size': flag({ group: 'Memory and threads', help: 'tokens per KV block', placeholder: 'N', schema: multipleOf(8), fallback: 64 }),
  'prefill-cell-tokens': flag({ group: 'Scheduling', help: 'prompts run in cells of this many tokens (part of the model fingerprint)', placeholder: 'N', schema: wholeNumber(8, 8192), fallback: 128 }),
  'max-model-len': flag({ group: 'Model', help: 'longest prompt + output in tokens', placeholder: 'N', schema: orWord('auto', wholeNumber(1)), fallback: null, defaultText: 'auto = what the checkpoint allows' }),
  'cache-dir': flag({ group: 'Memory and threads', help: 'profiles, digests and quantised weights', placeholder: 'DIR', schema: text().nullable(), fallback: null, defaultText: '$XDG_CACHE_HOME/rubato or ~/.cache/rubato', isPath: always }),
} as const
