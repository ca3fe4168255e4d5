// Every flag of `rubato serve`, in the order of --help. The table is all there is: command line, environment, file and help
// are derived from it.
import { flag } from '../flags/flag.ts'
import type { Flag, FlagValue } from '../flags/flag.ts'
import { byteSize, choice, matching, multipleOf, notYet, onOff, orWord, seconds, text, wholeNumber } from '../flags/value-schemas.ts'

const always = (): boolean => true
const unless = (...words: readonly string[]) => (value: string): boolean => !words.includes(value)
/** The rule for --chat-template: text that can only be a template is one. */
const notInlineTemplate = (value: string): boolean => !/[{}\n]/.test(value)
const PORT = wholeNumber(0, 65_535)

const MODEL_FLAGS = {
  model: flag({ group: 'Model', help: 'checkpoint directory (Hugging Face layout); same as the MODEL argument', placeholder: 'DIR', schema: text().nullable(), fallback: null, defaultText: 'the bundled shakespeare-target', isPath: always }),
  'served-model-name': flag({ group: 'Model', help: 'name that clients ask for', placeholder: 'NAME', schema: text().nullable(), fallback: null, defaultText: "the directory's name" }),
  dtype: flag({ group: 'Model', help: 'auto|float32: number format of computation and KV', placeholder: 'TYPE', schema: choice(['auto', 'float32'], /^(b?float16|half|float)$/), fallback: 'auto', defaultText: 'auto = float32' }),
  quantization: flag({ group: 'Model', help: 'none|int8: weights quantised at load, kept in the cache directory', placeholder: 'METHOD', schema: choice(['none', 'int8']), fallback: 'none' }),
  device: flag({ group: 'Model', help: 'cpu (cuda and webgpu are not built yet)', placeholder: 'DEVICE', schema: choice(['cpu'], /^(cuda|webgpu)(:\d+)?$/), fallback: 'cpu' }),
  'max-model-len': flag({ group: 'Model', help: 'longest prompt + output in tokens', placeholder: 'N', schema: orWord('auto', wholeNumber(1)), fallback: null, defaultText: 'auto = what the checkpoint allows' }),
  'chat-template': flag({ group: 'Model', help: 'file, or inline Jinja, in place of the checkpoint\'s template', placeholder: 'FILE', schema: text().nullable(), fallback: null, isPath: notInlineTemplate }),
  'generation-config': flag({ group: 'Model', help: "auto: sampling defaults of the checkpoint; vllm: neutral; or a directory with a generation_config.json", placeholder: 'auto|vllm|DIR', schema: text(), fallback: 'auto', isPath: unless('auto', 'vllm') }),
  seed: flag({ group: 'Model', help: 'base of the seeds drawn for requests that bring none', placeholder: 'N', schema: orWord('none', wholeNumber(0)), fallback: null, defaultText: 'none = random' }),
} as const

const SERVER_FLAGS = {
  host: flag({ group: 'Server', help: 'address to listen on', placeholder: 'HOST', schema: matching(/^[\w.:-]+$/, 'must be a host name or an IP address, without scheme, port or brackets'), fallback: '127.0.0.1' }),
  port: flag({ group: 'Server', help: 'HTTP port; 0: any free one', placeholder: 'PORT', schema: PORT, fallback: 8000, aliases: ['http-port'] }),
  'grpc-port': flag({ group: 'Server', help: 'gRPC port; 0: any free one', placeholder: 'PORT', schema: PORT, fallback: 50_051 }),
  'api-key': flag({ group: 'Server', help: 'bearer token that clients must present', placeholder: 'KEY', schema: matching(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces').nullable(), fallback: null, secret: true }),
  insecure: flag({ group: 'Server', help: 'allow a --host that others can reach without --api-key', placeholder: null, schema: onOff(), fallback: false }),
  'ssl-certfile': flag({ group: 'Server', help: 'TLS certificate chain (PEM); needs --ssl-keyfile', placeholder: 'FILE', schema: text().nullable(), fallback: null, isPath: always }),
  'ssl-keyfile': flag({ group: 'Server', help: 'TLS private key (PEM)', placeholder: 'FILE', schema: text().nullable(), fallback: null, isPath: always }),
  'ssl-ca-certs': flag({ group: 'Server', help: 'clients must present a certificate signed by one of these (PEM)', placeholder: 'FILE', schema: text().nullable(), fallback: null, isPath: always }),
} as const

const SCHEDULING_FLAGS = {
  mixed: flag({ group: 'Scheduling', help: 'instances that do both prompts and tokens', placeholder: 'N', schema: wholeNumber(1, 64), fallback: 1 }),
  'max-num-seqs': flag({ group: 'Scheduling', help: 'sequences running at once on one instance', placeholder: 'N', schema: wholeNumber(1, 4096), fallback: 64 }),
  'max-num-batched-tokens': flag({ group: 'Scheduling', help: 'token budget of one step', placeholder: 'N', schema: wholeNumber(1), fallback: 512 }),
  'prefill-cell-tokens': flag({ group: 'Scheduling', help: 'prompts run in cells of this many tokens (part of the model fingerprint)', placeholder: 'N', schema: wholeNumber(8, 8192), fallback: 128 }),
  'enable-prefix-caching': flag({ group: 'Scheduling', help: 'reuse KV blocks of equal prompt prefixes', placeholder: null, schema: onOff(), fallback: true }),
  batching: flag({ group: 'Scheduling', help: 'sarathi|prefill-first|orca', placeholder: 'POLICY', schema: choice(['sarathi', 'prefill-first', 'orca']), fallback: 'sarathi' }),
  dispatch: flag({ group: 'Scheduling', help: 'jsq: the instance with the least pending work', placeholder: 'POLICY', schema: choice(['jsq'], /^(slo|freeness|kv-aware|round-robin)$/), fallback: 'jsq' }),
  placement: flag({ group: 'Scheduling', help: 'auto|colocated: mixed instances', placeholder: 'POLICY', schema: choice(['auto', 'colocated'], /^disaggregated$/), fallback: 'auto' }),
  migration: flag({ group: 'Scheduling', help: 'off: requests stay where they started', placeholder: 'POLICY', schema: choice(['off'], /^llumnix$/), fallback: 'off' }),
  speculation: flag({ group: 'Scheduling', help: 'auto|off: no drafts in this version', placeholder: 'POLICY', schema: choice(['auto', 'off'], /^(static:\d+|ngram|smartspec|adaserve)$/), fallback: 'auto' }),
} as const

const MACHINE_FLAGS = {
  'block-size': flag({ group: 'Memory and threads', help: 'tokens per KV block', placeholder: 'N', schema: multipleOf(8), fallback: 64 }),
  'kv-cache-memory-bytes': flag({ group: 'Memory and threads', help: 'KV memory of one instance: bytes, 512MiB, 2GiB', placeholder: 'SIZE', schema: byteSize().nullable(), fallback: null, defaultText: '1 GiB, all instances together at most a quarter of the memory' }),
  'intra-op-threads': flag({ group: 'Memory and threads', help: 'compute threads of one instance', placeholder: 'N', schema: wholeNumber(1, 1024).nullable(), fallback: null, defaultText: 'its share of the cores, at most 8' }),
  'tokenizer-threads': flag({ group: 'Memory and threads', help: 'threads that tokenise long prompts', placeholder: 'N', schema: wholeNumber(1, 64), fallback: 1 }),
  profile: flag({ group: 'Memory and threads', help: 'step-time profile. auto: cached or measured at start; refresh: measured; or a file', placeholder: 'auto|refresh|FILE', schema: text(), fallback: 'auto', isPath: unless('auto', 'refresh') }),
  'profile-budget-secs': flag({ group: 'Memory and threads', help: 'time limit of that measurement', placeholder: 'S', schema: seconds(), fallback: 10 }),
  'cache-dir': flag({ group: 'Memory and threads', help: 'profiles, digests and quantised weights', placeholder: 'DIR', schema: text().nullable(), fallback: null, defaultText: '$XDG_CACHE_HOME/rubato or ~/.cache/rubato', isPath: always }),
} as const

const LIMIT_FLAGS = {
  'max-concurrent-requests': flag({ group: 'Overload and shutdown', help: 'requests in service at once; more wait in the queue', placeholder: 'N', schema: orWord('none', wholeNumber(1)), fallback: null, defaultText: 'none = no limit' }),
  'queue-size': flag({ group: 'Overload and shutdown', help: 'requests that may wait; more are refused', placeholder: 'N', schema: wholeNumber(0), fallback: 256 }),
  'queue-timeout-secs': flag({ group: 'Overload and shutdown', help: 'longest wait in the queue', placeholder: 'S', schema: seconds(), fallback: 60 }),
  'migration-limit': flag({ group: 'Overload and shutdown', help: 'crashes on admission after which a request fails for good', placeholder: 'N', schema: wholeNumber(1, 100), fallback: 3 }),
  'shutdown-timeout': flag({ group: 'Overload and shutdown', help: 'seconds that running requests get to finish on SIGTERM', placeholder: 'S', schema: seconds(), fallback: 30 }),
} as const

const LOG_FLAGS = {
  config: flag({ group: 'Configuration and logs', help: 'YAML file with any of these flags, without the dashes', placeholder: 'FILE', schema: text().nullable(), fallback: null, defaultText: './rubato.yaml where it exists', isPath: always }),
  'log-level': flag({ group: 'Configuration and logs', help: 'trace|debug|info|warn|error|silent', placeholder: 'LEVEL', schema: choice(['trace', 'debug', 'info', 'warn', 'error', 'silent']), fallback: 'info' }),
} as const

const UNBUILT_FLAGS = {
  draft: flag({ group: 'Not available in this version', help: 'draft model for speculation', placeholder: 'none', schema: notYet('none', 'draft models are'), fallback: 'none' }),
  prefill: flag({ group: 'Not available in this version', help: 'prefill instances', placeholder: '0', schema: notYet(0, 'separate prefill instances are'), fallback: 0 }),
  decode: flag({ group: 'Not available in this version', help: 'decode instances', placeholder: '0', schema: notYet(0, 'separate decode instances are'), fallback: 0 }),
  speculators: flag({ group: 'Not available in this version', help: 'speculator instances', placeholder: '0', schema: notYet(0, 'speculators are'), fallback: 0 }),
  nats: flag({ group: 'Not available in this version', help: 'clusters over NATS', placeholder: 'none', schema: notYet('none', 'clusters over NATS are'), fallback: 'none' }),
  'speculative-config': flag({ group: 'Not available in this version', help: 'speculation settings as JSON', placeholder: 'none', schema: notYet('none', 'speculation settings are'), fallback: 'none' }),
  'otlp-traces-endpoint': flag({ group: 'Not available in this version', help: 'export of traces', placeholder: 'none', schema: notYet('none', 'exported traces are'), fallback: 'none' }),
} as const

export const SERVE_FLAGS = { ...MODEL_FLAGS, ...SERVER_FLAGS, ...SCHEDULING_FLAGS, ...MACHINE_FLAGS, ...LIMIT_FLAGS, ...LOG_FLAGS, ...UNBUILT_FLAGS } as const satisfies Record<string, Flag<FlagValue>>

export type ServeFlagName = keyof typeof SERVE_FLAGS
/** A value for every flag. */
export type ServeFlagValues = { readonly [Name in ServeFlagName]: (typeof SERVE_FLAGS)[Name] extends Flag<infer T> ? T : never }

export const SERVE_FLAG_NAMES = Object.keys(SERVE_FLAGS) as readonly ServeFlagName[]
